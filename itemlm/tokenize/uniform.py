"""Uniform semantic mapping: items that tie choose their last codes anew, so that all are wanted
evenly.

LC-Rec (Zheng et al., ICDE 2024, arXiv:2311.09049) makes Semantic IDs unique without a code that
means nothing: the items that share all codes are assigned last codes by Sinkhorn's soft assignment,
in which every code receives as much as any other. Items moved may tie again with others, so this is
repeated, up to 20 times. Items with equal vectors always choose alike: they stay together, and the
last level of `ItemTokens` tells them apart.

Departure: the softness of 0.003 is reached by way of larger ones, see `sinkhorn`.

`ties.spread_ties` solves the same problem exactly and is what tokenizers do unless told otherwise.

Shapes      N items, S semantic levels, H width, M items that share all codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from itemlm.tokenize.kmeans import Vectors
from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.sinkhorn import even_prices
from itemlm.types import IntArray

PASSES = 20


def spread_by_sinkhorn(
    codes_NS: IntArray,
    latents: Callable[[IntArray], Vectors],
    codebooks: Sequence[Vectors],
    seed: int,
) -> IntArray:
    """The codes with the last semantic level chosen anew where items tie; other items stay.

    Args:
        codes_NS: codes as quantized.
        latents: what was quantized, by rows.
        codebooks: codewords of every level.
        seed: not used; nothing here is random.
    """
    *earlier, codebook_KH = codebooks
    length_K = np.einsum("kh,kh->k", codebook_KH, codebook_KH)
    spread_NS = codes_NS.copy()
    for _ in range(PASSES):
        before_NS = spread_NS.copy()
        for rows_M in _tied(spread_NS):
            residual_MH = latents(rows_M)
            for earlier_KH, code_M in zip(earlier, codes_NS[rows_M].T, strict=False):
                residual_MH = residual_MH - earlier_KH[code_M]
            length_M1 = np.einsum("mh,mh->m", residual_MH, residual_MH)[:, None]
            cost_MK = length_M1 + length_K - 2 * (residual_MH @ codebook_KH.T)
            spread_NS[rows_M, -1] = (cost_MK + even_prices(cost_MK)).argmin(axis=1)
        if np.array_equal(spread_NS, before_NS):
            break
    return spread_NS


def _tied(codes_NS: IntArray) -> list[IntArray]:
    """The rows of each group of two or more items that share all codes."""
    group_N = prefix_groups(codes_NS)
    order_N = np.argsort(group_N, kind="stable")
    groups = np.split(order_N, np.cumsum(np.bincount(group_N))[:-1])
    return [rows_M for rows_M in groups if len(rows_M) > 1]
