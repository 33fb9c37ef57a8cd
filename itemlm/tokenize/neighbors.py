"""Which items are near each other: by their vectors, by the company they keep, by what came next.

Tokens are measured by how far the codes of an item lead to its neighbors. Every kind of neighbor is
a list of pairs of rows.

Shapes      N items, D width, H histories, Q items asked about, K neighbors, P pairs.
"""

from __future__ import annotations

import numpy as np

from itemlm.data.held_out import HeldOut
from itemlm.data.sequences import Sequences
from itemlm.sparse import CSR, sum_by_key, terms_in_blocks
from itemlm.tokenize.kmeans import Vectors
from itemlm.tokenize.lookup import rank_within
from itemlm.types import IntArray

BLOCK_ELEMENTS = 2**22

Pairs = tuple[IntArray, IntArray]  # rows_P of items, rows_P of a neighbor of each


def nearest_neighbors(
    direction_ND: Vectors, count: int, sample: int, seed: int
) -> tuple[IntArray, IntArray]:
    """Rows of sampled items, and the rows of their nearest other items by cosine, in any order.

    Vectors of zeros have no direction: they are neither asked about nor anyone's neighbor.

    Returns:
        rows_Q and neighbors_QK.
    """
    real = np.flatnonzero(direction_ND.any(axis=1))
    count = min(count, len(real) - 1)
    if count < 1:
        return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.int64)
    places_Q = np.arange(len(real))
    if len(real) > sample:
        places_Q = np.sort(np.random.default_rng(seed).choice(len(real), sample, replace=False))
    others_ND = direction_ND[real]
    neighbors_QK = np.empty((len(places_Q), count), dtype=np.int64)
    size = max(1, BLOCK_ELEMENTS // len(real))
    for start in range(0, len(places_Q), size):
        places_q = places_Q[start : start + size]
        cosine_qN = others_ND[places_q] @ others_ND.T
        cosine_qN[np.arange(len(places_q)), places_q] = -np.inf
        neighbors_QK[start : start + size] = np.argpartition(-cosine_qN, count - 1)[:, :count]
    return real[places_Q], real[neighbors_QK]


def company(histories: Sequences, items: int, count: int, sample: int, seed: int) -> Pairs:
    """Sampled items with those that they share most histories with, by cosine.

    Items that share no history with another are left out. Ties are broken at random.
    """
    rng = np.random.default_rng(seed)
    taken_HN = CSR.distinct(histories.user_rows, histories.item_rows, (len(histories), items))
    counts_N = np.bincount(taken_HN.columns, minlength=items)
    asked_N = np.zeros(items, dtype=bool)
    asked_N[rng.choice(items, min(sample, items), replace=False)] = True
    chance_N = rng.permutation(items)
    found: list[Pairs] = []
    for block, key_T, weight_T in terms_in_blocks(taken_HN.only(asked_N).transposed(), taken_HN):
        keys, together = sum_by_key(key_T, weight_T, (block.stop - block.start) * items)
        line, other = np.divmod(keys, items)
        item = line + block.start
        kept = other != item
        item, other, together = item[kept], other[kept], together[kept]
        # The item's own count is the same for all of its neighbors.
        order = np.lexsort((chance_N[other], -together / np.sqrt(counts_N[other])))
        near = rank_within(item, order) < count
        found.append((item[near], other[near]))
    item_P = np.concatenate([item for item, _ in found] or [np.empty(0, dtype=np.int64)])
    other_P = np.concatenate([other for _, other in found] or [np.empty(0, dtype=np.int64)])
    return item_P, other_P


def followers(questions: HeldOut) -> Pairs:
    """The last item of each question's history, with the answers: pairs that no fit has seen."""
    queries = questions.queries
    asked = np.diff(queries.offsets) > 0
    last_Q = np.full(len(queries), -1)
    last_Q[asked] = queries.item_rows[queries.offsets[1:][asked] - 1]
    item_P = np.repeat(last_Q, np.diff(questions.target_offsets))
    answer_P = questions.target_rows
    kept_P = (item_P >= 0) & (answer_P >= 0) & (item_P != answer_P)
    return item_P[kept_P], answer_P[kept_P]
