"""Preferences: histories with a preference in words, and the item that follows both.

By the shares of `Mix`, the preference of an example is

    kept       one that the history shows already and the item to predict has too; where there is
               none, any of that item
    steered    a phrase of the item to predict, whether the history has it or not
    refused    against a phrase of the history that the item to predict does not have
    none       nothing at all

The first is close to the rule of the paper for training: of the preferences that a history shows,
the one nearest to the next item. There it may be far from it all the same; here a wish is always
true of what follows, so that "find coats" never means something else, at the price that a phrase of
the item to predict is told which its history did not show. The second is the paper's augmentation
for steering, and tells such a phrase too; the history then is that of somebody else, so that only
the words can help. All of this looks at training events only, and is not done in answering.

Paischer et al., "Preference Discerning with LLM-Enhanced Generative Retrieval", TMLR 2025.
arXiv:2412.08604

Shapes      B histories, T items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from itemlm.data.sequences import Sequences
from itemlm.sample.next_items import Prefixes, SequenceBatch
from itemlm.text.preferences import refusal, shared, usual, wish


@dataclass(frozen=True, slots=True)
class PreferenceBatch:
    """Histories, and what is wanted in words, "" where nothing is said.

    Attributes:
        histories: what was taken, and what came next.
        texts: [B] preferences.
    """

    histories: SequenceBatch
    texts: Sequence[str]

    @property
    def items_BT(self) -> Tensor:
        """Item rows."""
        return self.histories.items_BT

    @property
    def lengths_B(self) -> Tensor:
        """Real positions of each history."""
        return self.histories.lengths_B

    @property
    def targets_BT(self) -> Tensor:
        """The item after each position; only the last is meant."""
        return self.histories.targets_BT

    def to(self, device: torch.device) -> PreferenceBatch:
        """The same batch on another device."""
        return PreferenceBatch(self.histories.to(device), self.texts)


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How examples are shared out; what is left of 1 are the kept preferences.

    Attributes:
        steered: share whose preference is of the item to predict, after somebody else's history.
        refused: share with a preference against something.
        none: share without a preference.
    """

    steered: float
    refused: float
    none: float


class Preferences:
    """Each event but a user's first is predicted once an epoch, after a history and a preference.

    Args:
        sequences: of users.
        phrases_of: what the catalog says of each item, in short phrases.
        mix: of the kinds of preferences.
        padding: item row of padding.
        length: most events read.
        batch_size: histories.
        seed: of everything random.
    """

    def __init__(
        self,
        sequences: Sequences,
        phrases_of: Sequence[Sequence[str]],
        mix: Mix,
        *,
        padding: int,
        length: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.histories = Prefixes(
            sequences, padding=padding, length=length, batch_size=batch_size, seed=seed
        )
        self.steps = self.histories.steps
        self.phrases_of, self.mix, self.seed = phrases_of, mix, seed

    def batches(self, epoch: int, skip: int = 0) -> Iterator[PreferenceBatch]:
        """The batches of an epoch, without its first `skip`."""
        for number, batch in enumerate(self.histories.batches(epoch, skip), start=skip):
            yield self._with_preferences(batch, np.random.default_rng([self.seed, epoch, number]))

    def _with_preferences(self, batch: SequenceBatch, rng: np.random.Generator) -> PreferenceBatch:
        lengths = batch.lengths_B.tolist()
        histories = [row[:n] for row, n in zip(batch.items_BT.tolist(), lengths, strict=True)]
        rights = [row[n - 1] for row, n in zip(batch.targets_BT.tolist(), lengths, strict=True)]
        dice = rng.random(len(lengths))
        swapped = dice < self.mix.steered
        texts = []
        for history, right, die in zip(histories, rights, dice.tolist(), strict=True):
            form = int(rng.integers(1 << 16))
            texts.append(self._preference(history, right, die, form))
        return PreferenceBatch(_swap_histories(batch, swapped), texts)

    def _preference(self, history: list[int], right: int, die: float, form: int) -> str:
        """The words of one example; `die` picks the kind, `form` among equals."""
        mix, own = self.mix, self.phrases_of[right]
        if die < mix.steered:
            return wish(own[form % len(own)], form >> 8) if own else ""
        if die < mix.steered + mix.none:
            return ""
        if die < mix.steered + mix.none + mix.refused:
            about = usual(self.phrases_of, history, most=5)
            others = [phrase for phrase in about if phrase not in own]
            return refusal(others[form % len(others)], form >> 8) if others else ""
        near = shared(self.phrases_of, history, right) or own
        return wish(near[form % len(near)], form >> 8) if near else ""


def _swap_histories(batch: SequenceBatch, swapped_B: np.ndarray) -> SequenceBatch:
    """The marked rows exchange their histories in a circle; each keeps its last target."""
    rows = np.flatnonzero(swapped_B)
    if len(rows) < 2:
        return batch
    source_B = torch.arange(len(swapped_B))
    source_B[torch.from_numpy(rows)] = torch.from_numpy(np.roll(rows, 1))
    lengths_B = batch.lengths_B[source_B]
    own_B = torch.arange(len(source_B))
    right_B = batch.targets_BT[own_B, batch.lengths_B - 1]
    targets_BT = batch.targets_BT[source_B].clone()
    targets_BT[own_B, lengths_B - 1] = right_B
    return SequenceBatch(batch.items_BT[source_B], lengths_B, targets_BT)
