"""Exact top-k over the whole catalog, on the CPU: the last step of every dense recommender.

Scores tie often in recommendation (counts, sparse co-occurrence), and a sort that happens to prefer
low row numbers would then reward whatever order the catalog came in. Ties are therefore broken by
one random but seeded order of the items: reproducible, and blind to row numbers.

Shapes      B queries, N items, K places asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from itemlm.types import DataError, FloatArray, IntArray, QueryBatch

BLOCK_ELEMENTS = 2**22  # scores ranked at a time: 16 MB of float32, which a cache still helps with
DENSE_BYTES = 2**28  # most memory for one dense block of scores, at 8 bytes a score


def topk_of_scores(
    scores_BN: FloatArray, batch: QueryBatch, k: int, tie_seed: int = 0
) -> tuple[IntArray, FloatArray]:
    """The best k items of each query that may be shown, best first.

    Seen items (if `batch.exclude_seen`) and items outside `batch.allowed_N` are left out, and so is
    every item whose score is -inf. `scores_BN` is only read.

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
        rows_BK[window, :kept], scores_BK[window, :kept] = _best(block_bN, kept, tie_seed)
    return rows_BK, scores_BK


def topk_in_blocks(
    score: Callable[[QueryBatch], FloatArray], batch: QueryBatch, k: int, items: int
) -> tuple[IntArray, FloatArray]:
    """`topk_of_scores` for any number of queries, without ever holding more than 256 MB of scores.

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

    A partition finds the k-th best score of a line. Everything above it is in; the places that are
    left go to the items that equal it, in tie order. Two partitions of values cost far less than
    one of indices, and all lines are treated alike however many ties they have.
    """
    queries, items = block_BN.shape
    place_N, item_N = _tie_order(items, tie_seed)
    largest_BK = np.partition(block_BN, items - k, axis=1)[:, items - k :]
    if np.isnan(largest_BK).any():  # NaN sorts last, so one anywhere in a line shows up here
        raise DataError(
            "the model gave NaN as a score, so items cannot be ranked. Its training has probably "
            "diverged: fit it again with a smaller learning rate or stronger regularization."
        )
    kth_B1 = largest_BK[:, :1]

    # On flat indices: several times faster than nonzero of a matrix.
    above_B, above_rows = np.divmod(np.flatnonzero(block_BN > kth_B1), items)
    rank_in_line = np.arange(len(above_B)) - np.searchsorted(above_B, np.arange(queries))[above_B]
    rows_B2K = np.full((queries, 2 * k), -1, dtype=np.int64)
    rows_B2K[above_B, rank_in_line] = above_rows

    tied_place_BN = np.where(block_BN == kth_B1, place_N, items)
    first_BK = np.partition(tied_place_BN, k - 1, axis=1)[:, :k]
    rows_B2K[:, k:] = item_N[first_BK]

    scores_B2K = np.take_along_axis(block_BN, np.maximum(rows_B2K, 0), axis=1)
    scores_B2K[rows_B2K < 0] = -np.inf
    best_BK = np.lexsort((place_N[rows_B2K], -scores_B2K), axis=1)[:, :k]
    rows_BK = np.take_along_axis(rows_B2K, best_BK, axis=1)
    scores_BK = np.take_along_axis(scores_B2K, best_BK, axis=1)
    rows_BK[np.isneginf(scores_BK)] = -1
    return rows_BK, scores_BK


@lru_cache(maxsize=8)
def _tie_order(items: int, seed: int) -> tuple[IntArray, IntArray]:
    """[N] the place of each item among its equals, and [N + 1] the item at each place.

    The extra place N, which means "not tied", leads to item -1.
    """
    item_N = np.random.default_rng(seed).permutation(items).astype(np.int32)
    place_N = np.empty_like(item_N)
    place_N[item_N] = np.arange(items, dtype=np.int32)
    return place_N, np.append(item_N, np.int32(-1))
