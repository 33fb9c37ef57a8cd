"""The items nearest to a vector, under filters that lose nothing.

An approximate index that is told to skip most items stops long before it has found enough of the
others, and does not say so: with 1 % of 100,000 items allowed, HNSW finds about 4 of the best 10,
an inverted file 6. So the share of items that are allowed decides how an answer is made:

    exact       score every item, then leave out those that are not allowed
    gathered    copy the vectors of the allowed items together, and score only them
    ann         ask an approximate index for more than is needed, drop what is not allowed, and
                score the rest exactly; queries that are left with too few are gathered instead

The first two are exact. The third is for catalogs beyond a million items and filters that let most
of them pass. It needs faiss (the extra `serve`); without it every answer is exact.

Shapes      N items, M new items, B queries, D width, K places, A allowed items, C candidates.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from itemlm.retrieve.exact import topk_of_scores
from itemlm.retrieve.inverted_file import InvertedFile
from itemlm.types import BoolArray, ConfigError, DataError, FloatArray, IntArray, QueryBatch

Plan = Literal["exact", "gathered", "ann"]

BLOCK_NUMBERS = 2**24  # most float32 numbers in one block of scores or candidates: 64 MB
OVER_FETCH = 2.0  # candidates asked of the approximate index, times what is needed on average
TAIL_SHARE = 0.05  # of the indexed rows, that may wait outside the approximate index


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Chooses how to answer, by how many items there are and how many are allowed."""

    exact_up_to: int = 1_000_000  # items; no approximate index is made for so few
    gathered_up_to: float = 0.2  # share of allowed items, where all others would be scored
    ann_above: float = 0.05  # share of allowed items, where there is an approximate index
    fetched_up_to: float = 0.01  # of all items, as candidates: beyond it, exact is as fast

    def __post_init__(self) -> None:
        for name in ("gathered_up_to", "ann_above", "fetched_up_to"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but a share is from 0 to 1.")

    def plan(self, items: int, allowed: int, k: int) -> Plan:
        """How to find the best k of the `allowed` out of all `items`."""
        if items > self.exact_up_to and allowed > self.ann_above * items:
            fetched = OVER_FETCH * k * items / allowed
            if fetched <= self.fetched_up_to * items:
                return "ann"
        return "gathered" if allowed <= self.gathered_up_to * items else "exact"


class VectorIndex:
    """Vectors of items, to be searched by vectors of the same width.

    It never changes, so any number of threads may search it; `grown` makes a larger one.

    Args:
        vectors_ND: of unit length, or all zeros for an item without one, which is never found.
        planner: chooses between the ways to answer.

    Raises:
        DataError: if the vectors are no matrix of finite numbers.
    """

    def __init__(self, vectors_ND: FloatArray, *, planner: Planner | None = None) -> None:
        rows = _Rows.of(_checked(vectors_ND))
        self._hold(rows, len(vectors_ND), planner or Planner(), None)

    def _hold(self, rows: _Rows, items: int, planner: Planner, ann: InvertedFile | None) -> None:
        self._rows, self._items, self._planner = rows, items, planner
        self._ann = self._indexed(ann) if items > planner.exact_up_to else None

    def _indexed(self, older: InvertedFile | None) -> InvertedFile | None:
        """An approximate index over all rows but a few; None without faiss."""
        if older is None:
            return InvertedFile.of(self._vectors_ND, self._real_N)
        if self._items - older.items <= TAIL_SHARE * older.items:
            return older
        return older.with_rows(self._vectors_ND, self._real_N)

    def __len__(self) -> int:
        return self._items

    @property
    def width(self) -> int:
        """D, numbers per vector."""
        return int(self._rows.vectors.shape[1])

    @property
    def _vectors_ND(self) -> FloatArray:
        return self._rows.vectors[: self._items]

    @property
    def _real_N(self) -> BoolArray:
        return self._rows.real[: self._items]

    def vectors(self, rows_X: IntArray) -> FloatArray:
        """[X, D] the vectors of some rows."""
        found_XD: FloatArray = self._vectors_ND[rows_X]
        return found_XD

    def plan(self, allowed: int, k: int) -> Plan:
        """How the best k are found if so many items are allowed."""
        planner = self._planner
        if self._ann is None:
            planner = replace(planner, exact_up_to=self._items)
        return planner.plan(self._items, allowed, k)

    def search(
        self, queries_BD: FloatArray, k: int, allowed_N: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """The k items nearest to each query by inner product, nearest first.

        Args:
            queries_BD: a query of zeros finds nothing, since everything is equally near to it.
            k: places, at least 1.
            allowed_N: which items may be found; None means all.

        Returns:
            rows_BK int64 (-1 beyond the last) and scores_BK float32 (-inf there).

        Raises:
            DataError: if queries or filter do not fit the index, or k is not positive.
        """
        if k < 1:
            raise DataError(f"k is {k}, but at least one place must be asked for.")
        queries_BD = _checked(queries_BD, self.width)
        mask_N = self._real_N
        if allowed_N is not None:
            if allowed_N.shape != (self._items,) or allowed_N.dtype != np.bool_:
                raise DataError(
                    f"the filter is {allowed_N.dtype} of shape {allowed_N.shape}, but must hold "
                    f"one bool for each of the {self._items} items."
                )
            mask_N = mask_N & allowed_N
        rows_BK = np.full((len(queries_BD), k), -1, dtype=np.int64)
        scores_BK = np.full((len(queries_BD), k), -np.inf, dtype=np.float32)
        asked_B = np.flatnonzero(queries_BD.any(axis=1))
        allowed = int(np.count_nonzero(mask_N))
        if allowed and len(asked_B):
            answer = {"exact": self._exact, "gathered": self._gathered, "ann": self._approximate}
            way = answer[self.plan(allowed, k)]
            kept = min(k, allowed)
            found = way(queries_BD[asked_B], kept, mask_N)
            rows_BK[asked_B, :kept], scores_BK[asked_B, :kept] = found
        return rows_BK, scores_BK

    def grown(self, vectors_MD: FloatArray) -> VectorIndex:
        """A new index with more rows at its end; this one stays as it is.

        Rows are shared where there is room behind them, so that growing by one row does not copy
        the others (memory doubles when it is full, which makes the copies few).

        Raises:
            DataError: if the vectors are no matrix of finite numbers of this width.
        """
        vectors_MD = _checked(vectors_MD, self.width)
        rows = self._rows.extended(self._items, vectors_MD)
        larger = VectorIndex.__new__(VectorIndex)
        larger._hold(rows, self._items + len(vectors_MD), self._planner, self._ann)
        return larger

    # --- Three ways to answer ---------------------------------------------------------------

    def _exact(
        self, queries_BD: FloatArray, k: int, mask_N: BoolArray
    ) -> tuple[IntArray, FloatArray]:
        allowed_N = None if mask_N.all() else mask_N
        return _best(queries_BD, self._vectors_ND, k, allowed_N)

    def _gathered(
        self, queries_BD: FloatArray, k: int, mask_N: BoolArray
    ) -> tuple[IntArray, FloatArray]:
        row_A = np.flatnonzero(mask_N)
        places_BK, scores_BK = _best(queries_BD, self._vectors_ND[row_A], k, None)
        return row_A[places_BK], scores_BK  # k is at most A, so every place is filled

    def _approximate(
        self, queries_BD: FloatArray, k: int, mask_N: BoolArray
    ) -> tuple[IntArray, FloatArray]:
        assert self._ann is not None
        share = float(np.count_nonzero(mask_N)) / self._items
        fetched = min(self._ann.items, int(np.ceil(OVER_FETCH * k / share)))
        rows_BK = np.full((len(queries_BD), k), -1, dtype=np.int64)
        scores_BK = np.full((len(queries_BD), k), -np.inf, dtype=np.float32)
        tail_T = np.arange(self._ann.items, self._items)  # rows that wait outside
        # Vectors of the candidates are what takes most memory.
        for window in _windows(len(queries_BD), (fetched + len(tail_T)) * self.width):
            part_bD = queries_BD[window]
            row_bC = self._ann.candidates(part_bD, fetched)
            score_bC = np.einsum("bcd,bd->bc", self._vectors_ND[row_bC], part_bD)
            score_bC[(row_bC < 0) | ~mask_N[row_bC]] = -np.inf
            score_bT = part_bD @ self._vectors_ND[tail_T].T
            score_bT[:, ~mask_N[tail_T]] = -np.inf
            row_bC = np.hstack([row_bC, np.broadcast_to(tail_T, score_bT.shape)])
            score_bC = np.hstack([score_bC, score_bT])
            places_bK, scores_BK[window] = topk_of_scores(score_bC, _batch(len(part_bD)), k)
            rows_BK[window] = np.take_along_axis(row_bC, places_bK, axis=1)
        short_B = np.isneginf(scores_BK[:, -1])
        if short_B.any():
            rows_BK[short_B], scores_BK[short_B] = self._gathered(queries_BD[short_B], k, mask_N)
        return rows_BK, scores_BK


class _Rows:
    """Vectors in memory that has room for more, shared by an index and those grown from it.

    Only rows behind all that anyone uses are ever written, so readers need no lock.
    """

    def __init__(self, vectors: FloatArray, real: BoolArray, used: int) -> None:
        self.vectors, self.real, self._used = vectors, real, used
        self._growing = threading.Lock()

    @classmethod
    def of(cls, vectors_ND: FloatArray) -> _Rows:
        """Just these; they are not copied."""
        real_N: BoolArray = np.any(vectors_ND, axis=1)
        return cls(vectors_ND, real_N, len(vectors_ND))

    def extended(self, items: int, vectors_MD: FloatArray) -> _Rows:
        """With new rows behind the first `items`: these ones if there is room, else copies."""
        total = items + len(vectors_MD)
        with self._growing:
            # A second index grown from the same one must not write over the rows of the first.
            if self._used == items and total <= len(self.vectors):
                self._write(items, vectors_MD)
                return self
        room = max(total, 2 * items)
        vectors = np.empty((room, self.vectors.shape[1]), dtype=np.float32)
        vectors[:items] = self.vectors[:items]
        larger = _Rows(vectors, np.zeros(room, dtype=bool), items)
        larger.real[:items] = self.real[:items]
        larger._write(items, vectors_MD)
        return larger

    def _write(self, items: int, vectors_MD: FloatArray) -> None:
        total = items + len(vectors_MD)
        self.vectors[items:total] = vectors_MD
        self.real[items:total] = vectors_MD.any(axis=1)
        self._used = total


def _best(
    queries_BD: FloatArray, vectors_AD: FloatArray, k: int, allowed_A: BoolArray | None
) -> tuple[IntArray, FloatArray]:
    """The best k of all these vectors for each query, a block of scores at a time."""
    rows_BK = np.empty((len(queries_BD), k), dtype=np.int64)
    scores_BK = np.empty((len(queries_BD), k), dtype=np.float32)
    for window in _windows(len(queries_BD), len(vectors_AD)):
        scores_bA = queries_BD[window] @ vectors_AD.T
        batch = _batch(len(scores_bA), allowed_A)
        rows_BK[window], scores_BK[window] = topk_of_scores(scores_bA, batch, k)
    return rows_BK, scores_BK


def _windows(queries: int, numbers_each: int) -> Iterator[slice]:
    """Slices of the queries whose numbers fit into a block."""
    size = max(1, BLOCK_NUMBERS // max(1, numbers_each))
    for start in range(0, queries, size):
        yield slice(start, start + size)


def _batch(queries: int, allowed_N: BoolArray | None = None) -> QueryBatch:
    """Queries without histories, as `topk_of_scores` wants them."""
    nobody = np.full(queries, -1, dtype=np.int64)
    offsets = np.zeros(queries + 1, dtype=np.int64)
    nothing = np.empty(0, dtype=np.int64)
    return QueryBatch(offsets=offsets, item_rows=nothing, user_rows=nobody, allowed_N=allowed_N)


def _checked(vectors_XD: FloatArray, width: int | None = None) -> FloatArray:
    """A float32 matrix of finite numbers."""
    vectors_XD = np.ascontiguousarray(vectors_XD, dtype=np.float32)
    if vectors_XD.ndim != 2 or width not in (None, vectors_XD.shape[1]):
        wanted = "a matrix" if width is None else f"a matrix {width} wide"
        raise DataError(f"vectors have the shape {vectors_XD.shape}, but must be {wanted}.")
    if not np.isfinite(vectors_XD).all():
        raise DataError("vectors hold NaN or infinity, with which nothing can be compared.")
    return vectors_XD
