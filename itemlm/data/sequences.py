"""Sequences: what every user did, oldest first, as flat arrays.

They are in CSR form, so that a batch is one vectorised gather and a saved dataset is memory-mapped
when it is loaded.

Shapes      U users, E events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlm.order import count_rows, history_order
from itemlm.types import BoolArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequences:
    """What every user did, oldest first, in CSR form.

    Attributes:
        offsets: [U + 1] int64; user u owns events offsets[u]:offsets[u + 1].
        item_rows: [E] int32.
        timestamps: [E] int64 milliseconds since 1970 UTC, or None where only the order is known.
        values: [E] float32 ratings or weights, or None.
    """

    offsets: IntArray
    item_rows: IntArray
    timestamps: IntArray | None = None
    values: np.ndarray[Any, np.dtype[np.float32]] | None = None

    def __post_init__(self) -> None:
        # Shared by everyone who learns from them, so nobody may change them by accident.
        for array in self.arrays().values():
            array.setflags(write=False)

    @classmethod
    def sort(
        cls,
        user_row_E: IntArray,
        item_row_E: IntArray,
        *,
        timestamps: IntArray | None,
        values: np.ndarray[Any, np.dtype[np.float32]] | None,
        users: int,
    ) -> Sequences:
        """From events in any order; those of one user at one moment keep theirs."""
        order_E = history_order(user_row_E, timestamps)
        counts_U = count_rows(user_row_E, users)
        return cls(
            offsets=np.concatenate([[0], np.cumsum(counts_U)]),
            item_rows=item_row_E[order_E],
            timestamps=None if timestamps is None else timestamps[order_E],
            values=None if values is None else values[order_E],
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> IntArray:
        """[U] events per user."""
        return np.diff(self.offsets)

    @property
    def user_rows(self) -> IntArray:
        """[E] the user of each event."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    @property
    def seams(self) -> IntArray:
        """Places of events after which another user's begin."""
        ends = self.offsets[1:-1]
        seams: IntArray = ends[(ends > 0) & (ends < len(self.item_rows))] - 1
        return seams

    @property
    def in_time_order(self) -> bool:
        """Whether no event is older than the one of the same user before it."""
        if self.timestamps is None:
            return True
        older_E = self.timestamps[1:] < self.timestamps[:-1]
        older_E[self.seams] = False
        return not older_E.any()

    def keep(self, keep_E: BoolArray) -> Sequences:
        """The same users with only the marked events."""
        active_U = self.lengths > 0
        counts_U = np.zeros(len(self), dtype=np.int64)
        if active_U.any():
            counts_U[active_U] = np.add.reduceat(
                keep_E, self.offsets[:-1][active_U], dtype=np.int64
            )
        return Sequences(
            offsets=np.concatenate([[0], np.cumsum(counts_U)]),
            item_rows=self.item_rows[keep_E],
            timestamps=None if self.timestamps is None else self.timestamps[keep_E],
            values=None if self.values is None else self.values[keep_E],
        )

    def reorder(self, order_E: IntArray) -> Sequences:
        """The same users with their events permuted inside each user."""
        return Sequences(
            offsets=self.offsets,
            item_rows=self.item_rows[order_E],
            timestamps=None if self.timestamps is None else self.timestamps[order_E],
            values=None if self.values is None else self.values[order_E],
        )

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The arrays that are present, by name."""
        named = {
            "offsets": self.offsets,
            "item_rows": self.item_rows,
            "timestamps": self.timestamps,
            "values": self.values,
        }
        return {name: array for name, array in named.items() if array is not None}


def span_places(start: IntArray, stop: IntArray) -> IntArray:
    """All places of many spans start:stop, one span after the other."""
    lengths = stop - start
    before = np.cumsum(lengths) - lengths
    places: IntArray = np.arange(lengths.sum()) + np.repeat(start - before, lengths)
    return places


def inside_spans(start: IntArray, stop: IntArray, size: int) -> BoolArray:
    """[size] which places are inside one of the spans, which ascend and do not overlap."""
    filled = stop > start
    steps = np.zeros(size + 1, dtype=np.int8)
    steps[start[filled]] += 1
    steps[stop[filled]] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).view(np.bool_)
