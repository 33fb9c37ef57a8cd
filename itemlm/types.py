"""The nouns that every part of itemlm shares: queries, slates, batches and errors.

Ids live outside (whatever the user calls an item or a user), row numbers live inside. This module
imports nothing of ours, so every other module may import it.

Shapes      B queries, K places in a slate, N items in the catalog, E events, X any shape.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

ItemId = int | str
UserId = int | str
IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]


class ItemlmError(Exception):
    """A mistake that we can explain: what was wrong, where, and how to mend it."""


class DataError(ItemlmError):
    """The input data are not as they should be."""


class ConfigError(ItemlmError):
    """A setting is unknown or has a value that cannot work."""


class UnknownName(ConfigError):
    """A name that is not in a table; the message offers the nearest valid ones."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        choices = sorted(valid)
        near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        super().__init__(f"There is no {kind} '{name}'.{hint} Valid: {', '.join(choices)}.")


class MissingExtra(ItemlmError):
    """An optional dependency is not installed; the message is the line to run."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part. Run: pip install 'itemlm[{extra}]'")


class ArtifactError(ItemlmError):
    """A saved folder is missing, damaged or of another version."""


class ItemlmWarning(UserWarning):
    """Something worth knowing that does not stop the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One request: what is known about whoever asks.

    `history` holds item ids, oldest first, and is all that most papers read. `text` is a wish in
    words, for papers that understand some; `user` and `context` are there for papers that know
    people and circumstances. `only` and `without` filter this query's answer, on top of what
    `recommend` is told for all: a collection of item ids, `{"brand": ["Acme", "Apex"]}`, or a
    Polars condition on catalog columns.
    """

    history: Sequence[ItemId] = ()
    user: UserId | None = None
    text: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    only: Any = None
    without: Any = None


@dataclass(frozen=True, slots=True)
class Slate:
    """An answer: item ids, best first, with the model's scores. May be shorter than asked."""

    items: list[ItemId]
    scores: list[float]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryBatch:
    """Queries as arrays of rows: what models see.

    Attributes:
        offsets: [B + 1] where each history starts in `item_rows`.
        item_rows: [E] histories, oldest event first.
        user_rows: [B] row of each user in the dataset, -1 where there is none.
        exclude_seen: leave out the items of the history.
        allowed_N: which items may be recommended at all; None means all.
        allowed_BN: which of these may be recommended to each query; None means all.
        texts: [B] what was asked for in words, "" where nothing was; None where nobody did.
    """

    offsets: IntArray
    item_rows: IntArray
    user_rows: IntArray
    exclude_seen: bool = True
    allowed_N: BoolArray | None = None
    allowed_BN: BoolArray | None = None
    texts: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, window: slice) -> QueryBatch:
        """The queries of a contiguous window, without copying histories."""
        start, stop, step = window.indices(len(self))
        if step != 1:
            raise ValueError(f"a batch is sliced with step 1, not {step}")
        stop = max(start, stop)
        offsets = self.offsets[start : stop + 1]
        return QueryBatch(
            offsets=offsets - offsets[0],
            item_rows=self.item_rows[offsets[0] : offsets[-1]],
            user_rows=self.user_rows[start:stop],
            exclude_seen=self.exclude_seen,
            allowed_N=self.allowed_N,
            allowed_BN=None if self.allowed_BN is None else self.allowed_BN[start:stop],
            texts=None if self.texts is None else self.texts[start:stop],
        )

    @property
    def query_of_event(self) -> IntArray:
        """[E] the query that each event of `item_rows` belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def holds(self, query_X: IntArray, rows_X: IntArray) -> BoolArray:
        """[X] whether each item is in the history of its query; row -1 is in none.

        Args:
            query_X: queries, counted from 0.
            rows_X: item rows, in the same shape.
        """
        if not len(self.item_rows):
            return np.zeros(rows_X.shape, dtype=bool)
        # Sorting pairs as numbers and searching among them: np.isin takes 20 times as long.
        items = 1 + max(int(self.item_rows.max()), int(rows_X.max(initial=0)))
        pair_E = np.sort(self.query_of_event * items + self.item_rows)
        pair_X = query_X * items + rows_X
        place_X = np.minimum(np.searchsorted(pair_E, pair_X), len(pair_E) - 1)
        held_X: BoolArray = (pair_E[place_X] == pair_X) & (rows_X >= 0)
        return held_X

    def last_items(self, length: int, empty: int) -> tuple[IntArray, IntArray]:
        """The last `length` items of every history, left-aligned.

        Returns:
            rows_BT (padded with `empty` on the right; T is the longest kept history, at least 1)
            and the kept lengths_B.
        """
        lengths_B = np.minimum(np.diff(self.offsets), length)
        width = max(1, int(lengths_B.max(initial=0)))
        columns_T = np.arange(width)
        start_B = self.offsets[1:] - lengths_B
        inside_BT = columns_T < lengths_B[:, None]
        rows_BT = np.full(inside_BT.shape, empty, dtype=np.int64)
        rows_BT[inside_BT] = self.item_rows[(start_B[:, None] + columns_T)[inside_BT]]
        return rows_BT, lengths_B


class TopK(Protocol):
    """All that evaluation needs of a recommender."""

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k items of each query.

        Returns:
            rows_BK (best first, -1 where there are fewer than k) and scores_BK (-inf there).
        """
        ...
