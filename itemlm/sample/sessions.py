"""Sessions: a history, and the next few items as one target.

Shapes      B histories, T items read, M items of a session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from itemlm.data.sequences import Sequences
from itemlm.sample.batches import gather_windows, length_bucketed
from itemlm.sample.next_items import prefixes
from itemlm.types import DataError


@dataclass(frozen=True, slots=True)
class SessionBatch:
    """Histories to read, and what was taken after them, in order.

    Attributes:
        items_BT: item rows, oldest first, left-aligned; the padding row elsewhere.
        lengths_B: real positions of each history.
        session_BM: the items that followed, -1 where there are fewer than M. When a model is
            asked, the items that a session begins with.
    """

    items_BT: Tensor
    lengths_B: Tensor
    session_BM: Tensor

    def to(self, device: torch.device) -> SessionBatch:
        """The same batch on another device."""
        return SessionBatch(
            self.items_BT.to(device), self.lengths_B.to(device), self.session_BM.to(device)
        )


class Sessions:
    """Each event but a user's first begins a session once an epoch, after the events before it."""

    def __init__(
        self,
        sequences: Sequences,
        *,
        padding: int,
        length: int,
        session: int,
        batch_size: int,
        seed: int,
    ) -> None:
        offsets = sequences.offsets
        self.item_rows = sequences.item_rows
        self.starts_W, self.lengths_W = prefixes(offsets, length)
        if not len(self.starts_W):
            raise DataError("no user has two events, so there is no next item to learn from.")
        self.begins_W = self.starts_W + self.lengths_W
        ends_W = np.repeat(offsets[1:], np.maximum(np.diff(offsets) - 1, 0))
        self.counts_W = np.minimum(ends_W - self.begins_W, session)
        self.padding, self.batch_size, self.seed = padding, batch_size, seed
        self.steps = -(-len(self.starts_W) // batch_size)

    def batches(self, epoch: int, skip: int = 0) -> Iterator[SessionBatch]:
        """The batches of an epoch, without its first `skip`."""
        rng = np.random.default_rng([self.seed, epoch])
        for chosen in length_bucketed(self.lengths_W, self.batch_size, rng)[skip:]:
            starts_B, lengths_B = self.starts_W[chosen], self.lengths_W[chosen]
            yield SessionBatch(
                items_BT=gather_windows(self.item_rows, starts_B, lengths_B, self.padding),
                lengths_B=torch.from_numpy(lengths_B),
                session_BM=gather_windows(
                    self.item_rows, self.begins_W[chosen], self.counts_W[chosen], -1
                ),
            )
