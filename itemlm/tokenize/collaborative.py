"""Collaborative paths: items in nested clusters of what is taken together.

The graph of training co-occurrences is cut into clusters, each cluster that is still too large is
cut again, and so on: the path of clusters is the beginning of an item's ID, so that items that are
taken together share leading codes although their texts may have nothing in common (CID of "How to
Index Item IDs", Hua et al., SIGIR-AP 2023, arXiv:2305.06569, section 3.3.2).

Every cluster has a code that no other cluster of its level has. Items that share no history with
another one of the cluster that is being cut form a cluster of their own; where nothing tells items
apart, they are dealt out evenly, at random.

Shapes      H histories, N items, S levels of clusters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from itemlm.data.sequences import Sequences
from itemlm.sparse import CSR
from itemlm.tokenize.spectral import spectral_groups
from itemlm.types import ConfigError, IntArray

DEPTH = 8  # levels of clusters; below, a cluster is dealt out evenly


def collaborative_paths(
    histories: Sequences, items: int, clusters: int, leaf: int, seed: int
) -> tuple[IntArray, tuple[int, ...]]:
    """The clusters of every item, for `with_last_codes`.

    Args:
        histories: of the training part.
        items: N.
        clusters: into which a cluster is cut, at most (10 to 30 in the paper), besides the one of
            items that share no history with the others.
        leaf: items from which on a cluster is cut (200 or 500 in the paper).
        seed: of everything random.

    Returns:
        paths_NS, -1 after an item's innermost cluster, and the number of clusters on each level.

    Raises:
        ConfigError: if `clusters` is below 2 or `leaf` below 1.
    """
    if clusters < 2 or leaf < 1:
        raise ConfigError(
            f"clusters must be at least 2 and leaf at least 1, not {clusters} and {leaf}."
        )
    taken_HN = CSR.distinct(histories.user_rows, histories.item_rows, (len(histories), items))
    columns: list[IntArray] = []
    sizes: list[int] = []
    open_clusters: list[IntArray] = [np.arange(items)] if items > leaf else []
    while open_clusters:
        code_N = np.full(items, -1)
        used = 0
        next_open: list[IntArray] = []
        for rows_M in open_clusters:
            parts = clusters if len(columns) < DEPTH else -(-len(rows_M) // leaf)
            evenly = len(columns) >= DEPTH
            group_M = _cut(_among(taken_HN, rows_M), parts, leaf, seed, evenly=evenly)
            code_N[rows_M] = used + group_M
            used += int(group_M.max()) + 1
            next_open += [part for part in _parts(rows_M, group_M) if len(part) > leaf]
        columns.append(code_N)
        sizes.append(used)
        open_clusters = next_open
    paths_NS = np.column_stack(columns) if columns else np.empty((items, 0), dtype=np.int64)
    return paths_NS, tuple(sizes)


def _cut(taken_HM: CSR, clusters: int, leaf: int, seed: int, *, evenly: bool) -> IntArray:
    """[M] the part of each item, counted from 0; at least two parts."""
    linked_M = np.zeros(taken_HM.width, dtype=bool)
    linked_M[taken_HM.columns] = True
    group_M = np.zeros(taken_HM.width, dtype=np.int64)
    if linked_M.any() and not evenly:
        linked = np.flatnonzero(linked_M)
        group_M[linked] = 1 + spectral_groups(_among(taken_HM, linked), clusters, seed)
        group_M = np.unique(group_M, return_inverse=True)[1]
    if group_M.max() == 0:
        parts = min(clusters, max(2, -(-taken_HM.width // leaf)))
        group_M = np.random.default_rng(seed).permutation(taken_HM.width) % parts
    return group_M


def _among(taken_HN: CSR, rows_M: IntArray) -> CSR:
    """Some of the items, and the histories that hold two of them or more."""
    place_N = np.full(taken_HN.width, -1)
    place_N[rows_M] = np.arange(len(rows_M))
    place_Z = place_N[taken_HN.columns]
    row_Z = taken_HN.row_of_entry
    kept_Z = place_Z >= 0
    kept_Z &= np.bincount(row_Z[kept_Z], minlength=len(taken_HN))[row_Z] >= 2
    rows, row_Z = np.unique(row_Z[kept_Z], return_inverse=True)
    return CSR.distinct(row_Z, place_Z[kept_Z], (len(rows), len(rows_M)))


def _parts(rows_M: IntArray, group_M: IntArray) -> Iterator[IntArray]:
    order_M = np.argsort(group_M, kind="stable")
    yield from np.split(rows_M[order_M], np.cumsum(np.bincount(group_M))[:-1])
