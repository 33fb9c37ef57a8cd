"""HeldOut: questions whose answers are known, as a split makes them.

Shapes      U users, N items, E events, Q questions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.data.fingerprint import fingerprint
from itemlm.data.sequences import Sequences, inside_spans, span_places
from itemlm.types import BoolArray, ConfigError, IntArray, QueryBatch


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Questions whose answers are known.

    Attributes:
        queries: [Q] the histories that a recommender may read.
        target_offsets: [Q + 1] where the answers of each question start in `target_rows`.
        target_rows: the answers, as item rows.
        train_counts_N: events per item in the training part, for slices and novelty.
        protocol: how the split was made, in words.
        tied_Q: whether each question's answer ties in time with the event before it; None where
            there are no timestamps.
        part: "validation" or "test".
    """

    queries: QueryBatch
    target_offsets: IntArray
    target_rows: IntArray
    train_counts_N: IntArray
    protocol: str
    tied_Q: BoolArray | None
    part: str

    @property
    def tie_share(self) -> float | None:
        """Share of questions whose answer ties in time with the event before it."""
        return None if self.tied_Q is None else float(self.tied_Q.mean())

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when a question or an answer changes."""
        queries = self.queries
        return fingerprint(
            self.protocol,
            *(queries.offsets, queries.item_rows),
            *(self.target_offsets, self.target_rows, queries.user_rows),
        )

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, count: int, seed: int = 0) -> HeldOut:
        """A random sample of the questions, for quick validation."""
        if count < 1:
            raise ConfigError(f"a sample has at least one question, not {count}.")
        if count >= len(self):
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False))
        queries = self.queries
        offsets, item_rows = _rows_of(queries.offsets, queries.item_rows, chosen)
        target_offsets, target_rows = _rows_of(self.target_offsets, self.target_rows, chosen)
        return replace(
            self,
            queries=QueryBatch(
                offsets=offsets, item_rows=item_rows, user_rows=queries.user_rows[chosen]
            ),
            target_offsets=target_offsets,
            target_rows=target_rows,
            protocol=f"{self.protocol}; sample of {count} by seed {seed}",
            tied_Q=None if self.tied_Q is None else self.tied_Q[chosen],
        )


def ask(
    sequences: Sequences,
    train: Dataset,
    asked: IntArray,
    first: IntArray,
    last: IntArray,
    protocol: str,
    part: str,
) -> HeldOut:
    """Ask `asked` users for events first:last (flat places), given all that came before.

    Args:
        sequences: of all users, before anything is taken out.
        train: what is left to train on.
        asked: rows of users, ascending.
        first, last: the span of the answers of each.
        protocol, part: see HeldOut.
    """
    start = sequences.offsets[:-1][asked]
    tied_Q = None
    if sequences.timestamps is not None:
        times = sequences.timestamps
        tied_Q = (first > start) & (times[first] == times[np.maximum(first - 1, 0)])
    in_history_E = inside_spans(start, first, len(sequences.item_rows))
    return HeldOut(
        queries=QueryBatch(
            offsets=_offsets(first - start),
            item_rows=sequences.item_rows[in_history_E],
            user_rows=asked,
        ),
        target_offsets=_offsets(last - first),
        target_rows=sequences.item_rows[span_places(first, last)].astype(np.int64),
        train_counts_N=train.item_counts,
        protocol=protocol,
        tied_Q=tied_Q,
        part=part,
    )


def _rows_of(offsets: IntArray, values: IntArray, chosen: IntArray) -> tuple[IntArray, IntArray]:
    start, stop = offsets[:-1][chosen], offsets[1:][chosen]
    return _offsets(stop - start), values[span_places(start, stop)]


def _offsets(lengths: IntArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(lengths)])
