"""Ties: items whose vectors are so alike that they would get all the same semantic codes.

Spreading them gives some the next best code on the last level, so that the codes of an item say
almost the same and yet belong to it alone (the idea of LC-Rec's uniform semantic mapping, Zheng et
al., ICDE 2024, solved here as an exact assignment in place of Sinkhorn's iteration). What cannot be
spread is told apart by the last code of `ItemTokens`, which means nothing.

Shapes      N items, S semantic levels, K codes of the last level, H width, M items of one prefix,
            R items of several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from itemlm.tokenize.assignment import cheapest_assignment
from itemlm.tokenize.kmeans import Vectors
from itemlm.tokenize.lookup import prefix_groups
from itemlm.types import IntArray

ROWS_AT_A_TIME = 2048


def spread_ties(
    codes_NS: IntArray,
    latents: Callable[[IntArray], Vectors],
    codebooks: Sequence[Vectors],
    seed: int,
) -> IntArray:
    """The codes with the last semantic level assigned anew wherever items tie.

    Among the items that share all codes but the last, each last code is then used once at most,
    with the least total squared distance. Prefixes without ties are not touched, and neither are
    those with more than K items: these cannot all be told apart here, and would only lose what
    their last code says.

    Args:
        codes_NS: codes as quantized.
        latents: what was quantized, by rows: never asked for many at a time.
        codebooks: codewords of every level.
        seed: shuffles items that are quite alike, so that codes say nothing about row order.
    """
    *earlier, codebook_KH = codebooks
    length_K = np.einsum("kh,kh->k", codebook_KH, codebook_KH)
    spread_NS = codes_NS.copy()
    for groups in _together(_tied(codes_NS, len(codebook_KH), np.random.default_rng(seed))):
        rows_R = np.concatenate(groups)
        residual_RH = latents(rows_R)
        for earlier_KH, code_R in zip(earlier, codes_NS[rows_R].T, strict=False):
            residual_RH -= earlier_KH[code_R]
        # Squared distance up to a term that depends on the item alone.
        cost_RK = length_K - 2 * (residual_RH @ codebook_KH.T)
        ends = np.cumsum([len(rows_M) for rows_M in groups])[:-1]
        for rows_M, cost_MK in zip(groups, np.split(cost_RK, ends), strict=True):
            spread_NS[rows_M, -1] = cheapest_assignment(cost_MK)
    return spread_NS


def _tied(codes_NS: IntArray, k: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """Rows that share a prefix in which items tie, if there are at most k of them."""
    group_N = prefix_groups(codes_NS)
    prefix_N = prefix_groups(codes_NS[:, :-1])
    tied_N = np.bincount(group_N)[group_N] > 1
    by_prefix_N = np.argsort(prefix_N, kind="stable")
    starts = np.searchsorted(prefix_N[by_prefix_N], np.arange(prefix_N.max() + 2))
    for prefix in np.unique(prefix_N[tied_N]):
        rows_M = rng.permutation(by_prefix_N[starts[prefix] : starts[prefix + 1]])
        if len(rows_M) <= k:
            yield rows_M


def _together(groups: Iterator[IntArray]) -> Iterator[list[IntArray]]:
    """A few groups at a time: of about ROWS_AT_A_TIME rows, for which one product is fast."""
    batch: list[IntArray] = []
    for rows_M in groups:
        batch.append(rows_M)
        if sum(map(len, batch)) >= ROWS_AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch
