"""Next items: windows of each user's history, with the item that follows every position.

One window gives a training signal at each of its positions (Kang and McAuley 2018, section 3). A
history longer than a window is cut into several, so that every event is a target once an epoch.

Shapes      B windows, T positions (the longest window of the batch), M positions with a target,
            W windows in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from itemlm.data.sequences import Sequences
from itemlm.sample.batches import gather_windows, length_bucketed
from itemlm.types import DataError, IntArray


@dataclass(frozen=True, slots=True)
class SequenceBatch:
    """Histories to read and, in training, what came next.

    Attributes:
        items_BT: item rows, oldest first, left-aligned; the padding row elsewhere.
        lengths_B: real positions of each history.
        targets_BT: the item after each position, -1 where there is none.
    """

    items_BT: Tensor
    lengths_B: Tensor
    targets_BT: Tensor

    def to(self, device: torch.device) -> SequenceBatch:
        """The same batch on another device."""
        return SequenceBatch(
            self.items_BT.to(device), self.lengths_B.to(device), self.targets_BT.to(device)
        )

    def at_targets(self, values: Tensor) -> Tensor:
        """[M, ...] what [B, T, ...] values are at the positions that have a target."""
        places_M = (self.targets_BT.flatten() >= 0).nonzero()[:, 0]
        return values.flatten(0, 1).index_select(0, places_M)


def windows(offsets: IntArray, length: int) -> tuple[IntArray, IntArray]:
    """Where to cut histories so that every event but the first of each user is a target once.

    Returns:
        starts_W and lengths_W of the events read; the targets are the same spans one event later.
    """
    pairs_U = np.maximum(np.diff(offsets) - 1, 0)  # (event read, event that follows)
    counts_U = -(-pairs_U // length)
    # Windows are cut from the end backwards: the newest one is full, the oldest may be short.
    place_W = np.arange(counts_U.sum()) - np.repeat(np.cumsum(counts_U) - counts_U, counts_U)
    stops_W = np.repeat(offsets[:-1] + pairs_U, counts_U) - place_W * length
    starts_W = np.maximum(stops_W - length, np.repeat(offsets[:-1], counts_U))
    return starts_W, stops_W - starts_W


class NextItems:
    """Batches of next-item windows; see the module's docstring."""

    def __init__(
        self, sequences: Sequences, *, padding: int, length: int, batch_size: int, seed: int
    ) -> None:
        self.item_rows = sequences.item_rows
        self.starts_W, self.lengths_W = self._cut(sequences.offsets, length)
        if not len(self.starts_W):
            raise DataError("no user has two events, so there is no next item to learn from.")
        self.padding, self.batch_size, self.seed = padding, batch_size, seed
        self.steps = -(-len(self.starts_W) // batch_size)

    @staticmethod
    def _cut(offsets: IntArray, length: int) -> tuple[IntArray, IntArray]:
        return windows(offsets, length)

    def batches(self, epoch: int, skip: int = 0) -> Iterator[SequenceBatch]:
        """The batches of an epoch, without its first `skip`."""
        rng = np.random.default_rng([self.seed, epoch])
        for chosen in length_bucketed(self.lengths_W, self.batch_size, rng)[skip:]:
            starts_B, lengths_B = self.starts_W[chosen], self.lengths_W[chosen]
            yield SequenceBatch(
                items_BT=gather_windows(self.item_rows, starts_B, lengths_B, self.padding),
                lengths_B=torch.from_numpy(lengths_B),
                targets_BT=gather_windows(self.item_rows, starts_B + 1, lengths_B, -1),
            )


class Prefixes(NextItems):
    """Each event once as the item to predict, after the up to `length` events before it.

    The sliding window of models that learn from one target at a time: only the last position of
    each window is meant, though `targets_BT` holds them all.
    """

    @staticmethod
    def _cut(offsets: IntArray, length: int) -> tuple[IntArray, IntArray]:
        return prefixes(offsets, length)


def prefixes(offsets: IntArray, length: int) -> tuple[IntArray, IntArray]:
    """starts_W and lengths_W of what comes before each event but a user's first."""
    stops_W = np.delete(np.arange(offsets[-1]), offsets[:-1][np.diff(offsets) > 0])
    firsts_W = np.repeat(offsets[:-1], np.maximum(np.diff(offsets) - 1, 0))
    starts_W = np.maximum(stops_W - length, firsts_W)
    return starts_W, stops_W - starts_W
