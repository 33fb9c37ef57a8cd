"""Pairs: searches with the item that was meant, and items that one person took in succession.

Shapes      Q searches in all, E pairs of events in all, B pairs of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from itemlm.data.sequences import Sequences
from itemlm.types import DataError, IntArray


@dataclass(frozen=True, slots=True)
class PairBatch:
    """As many pairs of each kind; none of a kind that is left out.

    Attributes:
        searches_B: numbers of searches.
        meant_B: the items that were meant.
        items_B, next_items_B: items that one person took, one close after the other.
    """

    searches_B: Tensor
    meant_B: Tensor
    items_B: Tensor
    next_items_B: Tensor

    def to(self, device: torch.device) -> PairBatch:
        """The same batch on another device."""
        return PairBatch(
            self.searches_B.to(device),
            self.meant_B.to(device),
            self.items_B.to(device),
            self.next_items_B.to(device),
        )


class Pairs:
    """Batches of both kinds of pairs; an epoch goes through the larger kind once.

    Args:
        meant_Q: the item that each search means; empty for pairs of items alone.
        sequences: histories; None for searches alone.
        reach: how many events apart two items of a pair may be.
        batch_size: pairs of each kind.
        seed: of the order.
    """

    def __init__(
        self,
        meant_Q: IntArray,
        sequences: Sequences | None,
        *,
        reach: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.meant_Q = meant_Q
        self.pairs_2E = np.empty((2, 0), np.int64) if sequences is None else taken(sequences, reach)
        self.batch_size, self.seed = batch_size, seed
        size = max(len(meant_Q), self.pairs_2E.shape[1])
        if not size:
            raise DataError("there is neither a search nor a person with two events to learn from.")
        self.steps = -(-size // batch_size)

    def batches(self, epoch: int, skip: int = 0) -> Iterator[PairBatch]:
        """The batches of an epoch, without its first `skip`."""
        rng = np.random.default_rng([self.seed, epoch])
        total = self.steps * self.batch_size
        search_X = _enough(len(self.meant_Q), total, rng)
        pair_X = _enough(self.pairs_2E.shape[1], total, rng)
        for step in range(skip, self.steps):
            window = slice(step * self.batch_size, (step + 1) * self.batch_size)
            searches_B, pair_B = search_X[window], pair_X[window]
            yield PairBatch(
                *(
                    torch.from_numpy(rows.astype(np.int64))
                    for rows in (searches_B, self.meant_Q[searches_B], *self.pairs_2E[:, pair_B])
                )
            )


def taken(sequences: Sequences, reach: int) -> IntArray:
    """[2, E] items that one person took at most `reach` events apart, the earlier one first."""
    rows, users = sequences.item_rows, sequences.user_rows
    found = []
    for apart in range(1, reach + 1):
        is_pair = users[apart:] == users[:-apart]
        is_pair &= rows[apart:] != rows[:-apart]
        found.append(np.stack([rows[:-apart][is_pair], rows[apart:][is_pair]]))
    return np.concatenate(found, axis=1).astype(np.int64)


def _enough(count: int, total: int, rng: np.random.Generator) -> IntArray:
    """[total] numbers below `count`, all equally often up to one; empty where count is 0."""
    if not count:
        return np.empty(0, dtype=np.int64)
    rounds = -(-total // count)
    return np.concatenate([rng.permutation(count) for _ in range(rounds)])[:total]
