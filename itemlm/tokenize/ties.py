"""Ties: items whose vectors are so alike that they would get all the same semantic codes.

Spreading them gives some the next best code on the last level, so that the codes of an item say
almost the same and yet belong to it alone (the idea of LC-Rec's uniform semantic mapping, Zheng et
al., ICDE 2024, solved here as an exact assignment in place of Sinkhorn's iteration). What cannot be
spread is told apart by the last code of `ItemTokens`, which means nothing.

Shapes      N items, S semantic levels, K codes of the last level, H width, M items of one prefix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itemlm.tokenize.assignment import cheapest_assignment
from itemlm.tokenize.kmeans import Vectors
from itemlm.tokenize.lookup import prefix_groups
from itemlm.types import IntArray


def spread_ties(
    codes_NS: IntArray, latent_NH: Vectors, codebooks: Sequence[Vectors], seed: int
) -> IntArray:
    """The codes with the last semantic level assigned anew wherever items tie.

    Among the items that share all codes but the last, each last code is used once if there are
    enough of them, with the least total squared distance. Other prefixes are not touched.

    Args:
        codes_NS: codes as quantized.
        latent_NH: what was quantized.
        codebooks: codewords of every level.
        seed: where a prefix has more than K items, they are dealt at random into hands of K, and a
            code is used once per hand.
    """
    tied_N = np.bincount(groups_N := prefix_groups(codes_NS))[groups_N] > 1
    prefix_N = prefix_groups(codes_NS[:, :-1])
    rng = np.random.default_rng(seed)
    codebook_KH = codebooks[-1]
    residual_NH = latent_NH.copy()
    for earlier_KH, code_N in zip(codebooks[:-1], codes_NS.T, strict=False):
        residual_NH -= earlier_KH[code_N]
    length_K = np.einsum("kh,kh->k", codebook_KH, codebook_KH)
    by_prefix_N = np.argsort(prefix_N, kind="stable")
    starts = np.searchsorted(prefix_N[by_prefix_N], np.arange(prefix_N.max() + 2))
    spread_NS = codes_NS.copy()
    for prefix in np.unique(prefix_N[tied_N]):
        rows_M = rng.permutation(by_prefix_N[starts[prefix] : starts[prefix + 1]])
        for first in range(0, len(rows_M), len(codebook_KH)):
            hand = rows_M[first : first + len(codebook_KH)]
            # Squared distance up to a term that depends on the item alone.
            cost_MK = length_K - 2 * (residual_NH[hand] @ codebook_KH.T)
            spread_NS[hand, -1] = cheapest_assignment(cost_MK)
    return spread_NS
