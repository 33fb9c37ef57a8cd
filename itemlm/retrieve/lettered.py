"""Lettered: a language model orders the candidates of another recommender, each behind a letter.

A prompt shows candidates with a letter each; the probabilities of the letters as its next token are
the candidates' scores. The retriever's own order may count too, and what it has beyond the
candidates follows after them, so that a slate is never shorter than the retriever's.

Shapes      B queries, P candidates, X items of the retriever, K places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from itemlm.lm.examples import prompts
from itemlm.lm.language_model import LanguageModel
from itemlm.lm.writer import PromptWriter
from itemlm.recommender import Recommender
from itemlm.types import FloatArray, IntArray, QueryBatch

PROMPTS_AT_A_TIME = 64


class Lettered(Recommender):
    """Scores candidates by log P(letter) - trust * log(rank), with the retriever's rank from 1.

    Args:
        paper: name in the table of papers.
        lm: a causal language model.
        base: the retriever.
        letters: one per candidate; each is one token of the language model, or ends in one.
        ask: the prompt of each query, given the candidates' rows_BP; -1 where there are too few.
        config: settings of the paper.
        limit: tokens of a prompt that are read, the last ones.
        trust: in the retriever.
    """

    def __init__(
        self,
        paper: str,
        lm: LanguageModel,
        base: Recommender,
        letters: Sequence[str],
        ask: Callable[[QueryBatch, IntArray], list[str]],
        config: Any,
        *,
        limit: int,
        trust: float,
    ) -> None:
        super().__init__(base.catalog, config)
        self.paper = paper  # type: ignore[misc]
        self.lm, self.base, self.letters, self.ask = lm, base, letters, ask
        self.limit, self.trust = limit, trust
        # As they stand in a prompt: to many vocabularies a letter after a space is another token.
        tokens_P = torch.tensor([ids[-1] for ids in lm.token_ids([f"x {one}" for one in letters])])
        self.writer = PromptWriter(lm, [tokens_P]).eval()

    @torch.inference_mode()
    def letter_scores(self, batch: QueryBatch, rows_BP: IntArray) -> FloatArray:
        """[B, P] the log-probability of each candidate's letter among those that stand for one."""
        device = next(iter(self.lm.parameters())).device
        asks = self.ask(batch, rows_BP)
        logits_BP = torch.zeros(rows_BP.shape)
        for start in range(0, len(asks), PROMPTS_AT_A_TIME):
            window = slice(start, start + PROMPTS_AT_A_TIME)
            read = prompts(self.lm, asks[window], self.limit)
            logits_BP[window] = self.writer.read(read.to(device), 1)[0][:, 0].float().cpu()
        logits_BP.masked_fill_(torch.from_numpy(rows_BP < 0), -torch.inf)
        log_BP = logits_BP.log_softmax(1)
        out: FloatArray = log_BP.where(~log_BP.isnan(), -torch.inf).numpy()  # no candidate at all
        return out

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The candidates by their scores, then what the retriever has besides."""
        pool = len(self.letters)
        rows_BX, _ = self.base.topk(batch, max(k, pool))
        if not len(batch):
            return rows_BX[:, :k], np.zeros((0, k), dtype=np.float32)
        log_BP = self.letter_scores(batch, rows_BX[:, :pool])
        log_BP = log_BP - self.trust * np.log(np.arange(1, pool + 1))
        order_BP = np.argsort(-log_BP, axis=1, kind="stable")
        rows_BX[:, :pool] = np.take_along_axis(rows_BX[:, :pool], order_BP, axis=1)
        # Items beyond the pool come after it, each a step further down.
        last_B1 = np.where(np.isneginf(log_BP), np.inf, log_BP).min(axis=1, keepdims=True)
        below_BX = last_B1 - np.arange(1, rows_BX.shape[1] - pool + 1)
        scores_BX = np.concatenate([np.take_along_axis(log_BP, order_BP, axis=1), below_BX], axis=1)
        scores_BX = np.where(rows_BX >= 0, scores_BX, -np.inf).astype(np.float32)
        return rows_BX[:, :k], scores_BX[:, :k]

    @property
    def parameters(self) -> int:
        """Weights of the language model."""
        return sum(weights.numel() for weights in self.lm.parameters())
