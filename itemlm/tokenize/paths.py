"""Paths that items share, made unique by a last code.

A tokenizer that sorts items into nested boxes (clusters, categories, titles) ends with paths of
different lengths, and with many items in one box. The last code tells those apart. It is taken from
numbers that no box of its level has, so that no path can be the beginning of another's.

There are two kinds of last code. *Within the box*: items are numbered 0, 1, 2, ... in each box
anew, so that a number is shared by items that have nothing to do with each other. *Of its own*: no
other item of that level has the number, so that a model can learn about it what it learns about
nothing else. Numbers are given in an order shuffled by seed: row order often follows time.

Shapes      N items, S levels of boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itemlm.tokenize.lookup import prefix_groups, rank_within
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import IntArray


def with_last_codes(
    paths_NS: IntArray, sizes: Sequence[int], seed: int, *, own: bool = False, shared: bool = False
) -> ItemTokens:
    """Item tokens whose paths are these boxes and a last code.

    Args:
        paths_NS: the boxes that each item is in, from the outermost, and -1 after the innermost.
        sizes: how many boxes each level has.
        seed: of the order of the last codes.
        own: whether a last code belongs to one item of its level, or is used again in every box.
        shared: whether boxes mean the same on every level, as words do; all sizes are then equal.
    """
    depth_N = (paths_NS >= 0).sum(axis=1)
    order_N = np.random.default_rng(seed).permutation(len(paths_NS))
    last_N = rank_within(depth_N if own else prefix_groups(paths_NS), order_N)
    length = int(depth_N.max()) + 1
    boxes_L = np.zeros(length, dtype=np.int64)
    boxes_L[: len(sizes[:length])] = sizes[:length]
    if shared:
        boxes_L[:] = boxes_L[0]
    rows_N = np.arange(len(paths_NS))
    codes_NL = np.full((len(paths_NS), length), -1)
    codes_NL[:, : length - 1] = paths_NS[:, : length - 1]
    codes_NL[rows_N, depth_N] = boxes_L[depth_N] + last_N
    used_L = np.maximum(codes_NL.max(axis=0) + 1, boxes_L)
    if shared:
        used_L[:] = used_L.max()
    return ItemTokens(codes_NL, tuple(used_L.tolist()), shared=shared)


def independent(items: int, seed: int) -> ItemTokens:
    """One code per item, its own: no two items share anything (IID of "How to Index")."""
    return with_last_codes(np.empty((items, 0), dtype=np.int64), (), seed, own=True)
