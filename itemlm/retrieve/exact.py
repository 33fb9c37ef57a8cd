"""Exact top-k over the whole catalog, on the CPU: the last step of every dense recommender.

Scores tie often in recommendation (counts, sparse co-occurrence), and a sort that happens to prefer
low row numbers would then reward whatever order the catalog came in. Ties are therefore broken by
one random but seeded order of the items: reproducible, and blind to row numbers.

Shapes      B queries, N items, K places asked for, G groups of items, C candidates of all queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NoReturn

import numpy as np

from itemlm.types import DataError, FloatArray, IntArray, QueryBatch

BLOCK_ELEMENTS = 2**19  # scores ranked at a time: 2 MB of float32, which a cache holds
DENSE_BYTES = 2**26  # most memory for one dense block of scores, at 8 bytes a score
CROWD = 8  # times k candidates of one line, since they tie, are too many to sort
GROUPS = 512  # of items, at least: more groups give a tighter threshold, but cost more themselves


def topk_of_scores(
    scores_BN: FloatArray, batch: QueryBatch, k: int, tie_seed: int = 0
) -> tuple[IntArray, FloatArray]:
    """The best k items of each query that may be shown, best first.

    Seen items (if `batch.exclude_seen`) and items that the batch does not allow are left out, and
    so is every item whose score is -inf. `scores_BN` is only read.

    Args:
        scores_BN: higher is better; may be a broadcast view.
        batch: the queries, for their histories and filters.
        k: places, at least 1.
        tie_seed: picks the order of items whose scores are equal.

    Returns:
        rows_BK int64 (-1 where fewer than k items are left) and scores_BK (-inf there).

    Raises:
        DataError: if a score that matters is NaN.
    """
    queries, items = scores_BN.shape
    kept = min(k, items)
    rows_BK = np.full((queries, k), -1, dtype=np.int64)
    scores_BK = np.full((queries, k), -np.inf, dtype=scores_BN.dtype)
    for window in _windows(queries, max(1, BLOCK_ELEMENTS // max(1, items)) if kept else 0):
        part = batch[window]
        block_bN = np.array(scores_BN[window])
        if part.exclude_seen:
            block_bN[part.query_of_event, part.item_rows] = -np.inf
        if part.allowed_N is not None:
            block_bN[:, ~part.allowed_N] = -np.inf
        if part.allowed_BN is not None:
            block_bN[~part.allowed_BN] = -np.inf
        rows_BK[window, :kept], scores_BK[window, :kept] = _best(block_bN, kept, tie_seed)
    return rows_BK, scores_BK


def topk_in_blocks(
    score: Callable[[QueryBatch], FloatArray], batch: QueryBatch, k: int, items: int
) -> tuple[IntArray, FloatArray]:
    """`topk_of_scores` for any number of queries, without ever holding more than 64 MB of scores.

    Args:
        score: scores_BN of a batch.
        batch: any number of queries.
        k: places.
        items: N, from which the size of a block follows.
    """
    rows_BK = np.full((len(batch), k), -1, dtype=np.int64)
    scores_BK = np.full((len(batch), k), -np.inf, dtype=np.float32)
    for window in _windows(len(batch), max(1, DENSE_BYTES // (8 * max(1, items)))):
        part = batch[window]
        rows_BK[window], scores_BK[window] = topk_of_scores(score(part), part, k)
    return rows_BK, scores_BK


def _windows(total: int, size: int) -> Iterator[slice]:
    """Consecutive slices that cover `total` places; none if `size` is 0."""
    if size:
        for start in range(0, total, size):
            yield slice(start, min(start + size, total))


def _best(block_BN: FloatArray, k: int, tie_seed: int) -> tuple[IntArray, FloatArray]:
    """The k best of each line by (score, tie order), where k <= N.

    Nearly all scores are far from the best k. A threshold that at least k items of a line reach
    rules them out in one comparison each, and only the few candidates that are left get sorted.
    """
    # On flat indices: several times faster than nonzero of a matrix.
    place_C = np.flatnonzero(block_BN >= _threshold(block_BN, k))
    score_C = block_BN.ravel()[place_C]
    if len(block_BN) == 1:
        return _ranked_alone(place_C, score_C, block_BN.shape[1], k, tie_seed)
    query_C, row_C = np.divmod(place_C, block_BN.shape[1])
    crowded_B = np.bincount(query_C, minlength=len(block_BN)) > CROWD * k
    if not crowded_B.any():
        return ranked(query_C, row_C, score_C, block_BN.shape, k, tie_seed)
    few_C = ~crowded_B[query_C]
    rows_BK, scores_BK = ranked(
        query_C[few_C], row_C[few_C], score_C[few_C], block_BN.shape, k, tie_seed
    )
    rows_BK[crowded_B], scores_BK[crowded_B] = _best_by_partition(block_BN[crowded_B], k, tie_seed)
    return rows_BK, scores_BK


def _threshold(block_BN: FloatArray, k: int) -> FloatArray:
    """[B, 1] a finite score that every candidate of a line reaches, and that few others reach.

    Items are dealt out to more than k groups. The k-th best of the groups' maxima will do, since k
    groups have an item that reaches it. It is little below the k-th best score itself: of the best
    k items few share a group.

    Raises:
        DataError: if a score is NaN.
    """
    queries, items = block_BN.shape
    groups = min(items, max(GROUPS, 4 * k))
    whole = items - items % groups
    best_BG = block_BN[:, :whole].reshape(queries, -1, groups).max(axis=1)
    rest_BG = best_BG[:, : items - whole]
    np.maximum(rest_BG, block_BN[:, whole:], out=rest_BG)
    best_BG.partition(groups - k, axis=1)
    if np.isnan(best_BG[:, -1]).any():  # NaN sorts last, so one anywhere in a line shows up there
        refuse_nan()
    at_least_B1: FloatArray = best_BG[:, groups - k, None]
    return np.maximum(at_least_B1, np.finfo(block_BN.dtype).min)


def ranked(
    query_C: IntArray,
    row_C: IntArray,
    score_C: FloatArray,
    shape: tuple[int, ...],
    k: int,
    tie_seed: int = 0,
) -> tuple[IntArray, FloatArray]:
    """The k best candidates of each query by (score, tie order).

    Args:
        query_C: the query of each candidate, ascending.
        row_C: its item.
        score_C: its score, above -inf.
        shape: B and N.
        k: places.
        tie_seed: picks the order of items whose scores are equal.

    Returns:
        rows_BK int64 (-1 where a query has fewer than k candidates) and scores_BK (-inf there).
    """
    queries, items = shape
    count_B = np.bincount(query_C, minlength=queries)
    column_C = np.arange(len(query_C)) - (np.cumsum(count_B) - count_B)[query_C]
    width = max(k, int(count_B.max(initial=0)))
    rows_BC = np.full((queries, width), -1, dtype=np.int64)
    scores_BC = np.full((queries, width), -np.inf, dtype=score_C.dtype)
    rows_BC[query_C, column_C] = row_C
    scores_BC[query_C, column_C] = score_C
    place_N, _ = _tie_order(items, tie_seed)
    order_BK = np.lexsort((place_N[rows_BC], -scores_BC), axis=1)[:, :k]
    rows_BK = np.take_along_axis(rows_BC, order_BK, axis=1)
    return rows_BK, np.take_along_axis(scores_BC, order_BK, axis=1)


def _ranked_alone(
    row_C: IntArray, score_C: FloatArray, items: int, k: int, tie_seed: int
) -> tuple[IntArray, FloatArray]:
    """`ranked` for a single query, who waits for the answer: in a third of the time."""
    order_K = np.lexsort((_tie_order(items, tie_seed)[0][row_C], -score_C))[:k]
    rows_BK = np.full((1, k), -1, dtype=np.int64)
    scores_BK = np.full((1, k), -np.inf, dtype=score_C.dtype)
    rows_BK[0, : len(order_K)] = row_C[order_K]
    scores_BK[0, : len(order_K)] = score_C[order_K]
    return rows_BK, scores_BK


def _best_by_partition(block_BN: FloatArray, k: int, tie_seed: int) -> tuple[IntArray, FloatArray]:
    """The same as `_best` for lines with k scores above -inf, in the same time however many tie.

    A partition finds the k-th best score of a line. Everything above it is in; the places that are
    left go to the items that equal it, in tie order.
    """
    items = block_BN.shape[1]
    place_N, item_N = _tie_order(items, tie_seed)
    kth_B1 = np.partition(block_BN, items - k, axis=1)[:, items - k, None]
    above_B, above_rows = np.divmod(np.flatnonzero(block_BN > kth_B1), items)
    tied_place_BN = np.where(block_BN == kth_B1, place_N, items)
    tied_rows_BK = item_N[np.partition(tied_place_BN, k - 1, axis=1)[:, :k]]
    tied_B, column = np.nonzero(tied_rows_BK >= 0)
    query_C = np.concatenate([above_B, tied_B])
    row_C = np.concatenate([above_rows, tied_rows_BK[tied_B, column]])
    order_C = np.argsort(query_C, kind="stable")
    query_C, row_C = query_C[order_C], row_C[order_C]
    return ranked(query_C, row_C, block_BN[query_C, row_C], block_BN.shape, k, tie_seed)


def refuse_nan() -> NoReturn:
    """Say what NaN among the scores means."""
    raise DataError(
        "the model gave NaN as a score, so items cannot be ranked. Its training has probably "
        "diverged: fit it again with a smaller learning rate or stronger regularization."
    )


@lru_cache(maxsize=8)
def _tie_order(items: int, seed: int) -> tuple[IntArray, IntArray]:
    """[N] the place of each item among its equals, and [N + 1] the item at each place.

    The extra place N, which means "not tied", leads to item -1.
    """
    item_N = np.random.default_rng(seed).permutation(items).astype(np.int32)
    place_N = np.empty_like(item_N)
    place_N[item_N] = np.arange(items, dtype=np.int32)
    return place_N, np.append(item_N, np.int32(-1))
