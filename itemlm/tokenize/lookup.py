"""Codes to rows: which item a tuple of codes belongs to, and which items share a prefix.

Tuples are folded into integers that sort and compare fast. A fold stops before 63 bits are full and
goes on from the rank among the keys so far, so that any number of levels of any size works.

Shapes      N items, L levels, M tuples asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itemlm.types import IntArray

KEY_LIMIT = 2**62


def prefix_groups(codes_NL: IntArray) -> IntArray:
    """[N] a number for each distinct tuple of codes, counted from 0 in lexicographic order.

    Codes run from -1, which stands after the end of a shorter tuple.
    """
    group_N = np.zeros(len(codes_NL), dtype=np.int64)
    for code_N in codes_NL.T:
        key_N = group_N * (int(code_N.max(initial=0)) + 2) + code_N + 1
        group_N = np.unique(key_N, return_inverse=True)[1]
    return group_N


def rank_within(group_N: IntArray, order_N: IntArray) -> IntArray:
    """[N] how many members of the same group come earlier in `order_N`, a permutation of rows."""
    by_group_N = order_N[np.argsort(group_N[order_N], kind="stable")]
    sorted_group_N = group_N[by_group_N]
    rank_N = np.empty(len(group_N), dtype=np.int64)
    rank_N[by_group_N] = np.arange(len(group_N)) - np.searchsorted(sorted_group_N, sorted_group_N)
    return rank_N


class RowLookup:
    """Finds rows by codes with a binary search per fold: one for a usual Semantic ID."""

    def __init__(self, codes_NL: IntArray, levels: Sequence[int]) -> None:
        self.levels_L = np.array(levels, dtype=np.int64)
        self.folds: list[tuple[slice, IntArray]] = []
        rank_N = np.zeros(len(codes_NL), dtype=np.int64)
        for fold in _folds(levels, len(codes_NL)):
            keys, rank_N = np.unique(self._keys(rank_N, codes_NL, fold), return_inverse=True)
            self.folds.append((fold, keys))
        self.row_of_rank = np.empty(len(codes_NL), dtype=np.int64)
        self.row_of_rank[rank_N] = np.arange(len(codes_NL))

    def rows(self, codes_ML: IntArray) -> IntArray:
        """[M] the row of each tuple, -1 where no item has it."""
        known_M = np.all((codes_ML >= -1) & (codes_ML < self.levels_L), axis=1)
        codes_ML = np.where(known_M[:, None], codes_ML, 0)
        rank_M = np.zeros(len(codes_ML), dtype=np.int64)
        for fold, keys in self.folds:
            key_M = self._keys(rank_M, codes_ML, fold)
            rank_M = np.minimum(np.searchsorted(keys, key_M), len(keys) - 1)
            known_M &= keys[rank_M] == key_M
        return np.where(known_M, self.row_of_rank[rank_M], -1)

    def _keys(self, rank_M: IntArray, codes_ML: IntArray, fold: slice) -> IntArray:
        key_M = rank_M
        for level in range(fold.start, fold.stop):
            key_M = key_M * (self.levels_L[level] + 1) + codes_ML[:, level] + 1
        return key_M


def _folds(levels: Sequence[int], items: int) -> list[slice]:
    """Runs of levels whose codes, on top of a rank below `items`, fit into one key."""
    folds, start, size = [], 0, 1
    for level, codes in enumerate(levels):
        if level > start and size * (codes + 1) >= KEY_LIMIT:
            folds.append(slice(start, level))
            start, size = level, items
        size *= codes + 1
    return [*folds, slice(start, len(levels))]
