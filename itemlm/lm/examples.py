"""Texts with answers, from which language models learn.

Shapes      B texts, S tokens of a text, Y tokens of an answer, M tokens to be learned, V tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from itemlm.lm.language_model import NOTHING, LanguageModel, padded
from itemlm.objectives.objective import Objective


@dataclass(frozen=True)
class TextBatch:
    """Texts to read and, in training, what to answer.

    Attributes:
        ids_BS: tokens, padded on the right for seq2seq models and on the left for causal ones.
        mask_BS: True at real tokens.
        labels_BY: the tokens to be learned, -100 elsewhere. For causal models they are aligned
            with `ids_BS`: the label of a place is its own token, predicted from those before it.
    """

    ids_BS: Tensor
    mask_BS: Tensor
    labels_BY: Tensor

    def to(self, device: torch.device) -> TextBatch:
        """The same batch on another device."""
        return TextBatch(self.ids_BS.to(device), self.mask_BS.to(device), self.labels_BY.to(device))


def prompts(lm: LanguageModel, texts: Sequence[str], limit: int) -> TextBatch:
    """Texts to be answered: at most `limit` tokens of each, and nothing to learn."""
    ids_BS, mask_BS = lm.tokenize(texts, limit)
    return TextBatch(ids_BS, mask_BS, torch.full_like(ids_BS, NOTHING))


def answered(
    lm: LanguageModel, texts: Sequence[str], answers: Sequence[Sequence[int]], limit: int
) -> TextBatch:
    """Texts with the tokens that should follow each.

    Args:
        lm: whose tokens these are.
        texts: to read, at most `limit` tokens of each.
        answers: tokens to be learned; where an answer is to end, its last one is the end token.
        limit: most tokens of a text; answers come on top.
    """
    ids_BS, mask_BS = lm.tokenize(texts, limit)
    if lm.is_seq2seq:
        return TextBatch(ids_BS, mask_BS, padded(answers, NOTHING)[0])
    read = [ids_S[mask_S].tolist() for ids_S, mask_S in zip(ids_BS, mask_BS, strict=True)]
    whole = [[*row, *answer] for row, answer in zip(read, answers, strict=True)]
    learned = [[*[NOTHING] * len(row), *answer] for row, answer in zip(read, answers, strict=True)]
    ids_BS, mask_BS = padded(whole, lm.pad, left=True)
    return TextBatch(ids_BS, mask_BS, padded(learned, NOTHING, left=True)[0])


class TextLoss(Objective):
    """Mean cross-entropy of the tokens that have a label.

    Needs a model with `model(batch) -> (logits_MV, targets_M)`, as a `LanguageModel` is.
    """

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The mean over the tokens of the batch."""
        logits_MV, targets_M = model(batch)
        return {"text": cross_entropy(logits_MV.float(), targets_M)}


def text_loss() -> TextLoss:
    """Cross-entropy of the answers; see `TextLoss`."""
    return TextLoss()
