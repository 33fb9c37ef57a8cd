"""Where a beam may go: the trie's children of many nodes at once, and which of them are closed.

What a filter closes is known per node, for all queries alike or for each. What a history closes are
the few nodes below which a query has seen everything: they are found bottom up before the search,
and crossed out where a beam comes by. So a step costs one gather of children, whatever the
catalog's size.

Shapes      B queries, K beams, M children of a node at most, N items, S nodes that a history has
            used up, E events, X distinct nodes of histories, F filters: one or one per query; a
            level has P parents and C children.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from itemlm.order import distinct
from itemlm.tokenize.trie import Trie
from itemlm.types import IntArray, QueryBatch


@dataclass(frozen=True)
class Branches:
    """A level of the trie on the model's device, and what of it is closed.

    Attributes:
        first_child: [P + 1] as in the trie.
        codes: [C] as in the trie; -1 where a path has ended and just goes on.
        max_children: M.
        has_ends: whether any path has ended before this level.
        open_FC: whether an allowed item is below each child, for all queries alike or for each;
            None means that all are open.
        used_up_BS: children below which a query has seen all that is allowed, padded with -1;
            None means that histories close nothing.
    """

    first_child: Tensor
    codes: Tensor
    max_children: int
    has_ends: bool = False
    open_FC: Tensor | None = None
    used_up_BS: Tensor | None = None

    def below(self, node_BK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, K, M] the children of nodes, their codes, and a bar: 0 where open, -inf where not."""
        first_BK1 = self.first_child[node_BK][..., None]
        stop_BK1 = self.first_child[node_BK + 1][..., None]
        child_BKM = first_BK1 + torch.arange(self.max_children, device=node_BK.device)
        closed_BKM = child_BKM >= stop_BK1
        child_BKM.clamp_(max=len(self.codes) - 1)
        if self.open_FC is not None:
            closed_BKM |= ~_looked_up(self.open_FC, child_BKM)
        bar_BKM = torch.zeros(closed_BKM.shape, device=node_BK.device)
        bar_BKM.masked_fill_(closed_BKM, -torch.inf)
        if self.used_up_BS is not None:
            used_BKS = self.used_up_BS[:, None]
            is_child_BKS = (used_BKS >= first_BK1) & (used_BKS < stop_BK1)
            bar_BKS = torch.zeros(is_child_BKS.shape, device=node_BK.device)
            bar_BKS.masked_fill_(is_child_BKS, -torch.inf)
            place_BKS = (used_BKS - first_BK1).clamp_(0, self.max_children - 1)
            bar_BKM.scatter_reduce_(2, place_BKS, bar_BKS, "amin")
        return child_BKM, self.codes[child_BKM], bar_BKM


def _looked_up(open_FC: Tensor, child_BKM: Tensor) -> Tensor:
    if len(open_FC) == 1:
        return open_FC[0][child_BKM]
    return open_FC.gather(1, child_BKM.flatten(1)).view(child_BKM.shape)


def branches(trie: Trie, device: torch.device) -> list[Branches]:
    """The levels of a trie, all open."""
    return [
        Branches(
            torch.from_numpy(level.first_child).to(device),
            torch.from_numpy(level.codes).to(device),
            level.max_children,
            has_ends=bool((level.codes < 0).any()),
        )
        for level in trie.levels
    ]


def allowed_before(batch: QueryBatch, trie: Trie) -> IntArray | None:
    """[F, N + 1] how many leaves before each are allowed; None where no filter is given."""
    if batch.allowed_N is None and batch.allowed_BN is None:
        return None
    allowed_FN = np.ones((1, 1), dtype=bool)
    if batch.allowed_N is not None:
        allowed_FN = batch.allowed_N[None]
    if batch.allowed_BN is not None:
        allowed_FN = allowed_FN & batch.allowed_BN
    before_FN = np.zeros((len(allowed_FN), allowed_FN.shape[1] + 1), dtype=np.int32)
    np.cumsum(allowed_FN[:, trie.row_of_leaf], axis=1, out=before_FN[:, 1:])
    return before_FN


def keep_open(levels: Sequence[Branches], trie: Trie, before_FN: IntArray) -> list[Branches]:
    """Close the nodes below which nothing is allowed.

    Args:
        levels: of the trie, all open.
        trie: gives the leaves below each node.
        before_FN: as `allowed_before` gives it.
    """
    kept = []
    for branch, level in zip(levels, trie.levels, strict=True):
        open_FC = np.diff(before_FN[:, level.first_leaf], axis=1) > 0
        kept.append(replace(branch, open_FC=torch.from_numpy(open_FC).to(branch.codes.device)))
    return kept


def close(levels: Sequence[Branches], used_up: Sequence[IntArray]) -> list[Branches]:
    """Close the nodes that histories have used up, and none that were closed so before."""
    return [
        replace(branch, used_up_BS=torch.from_numpy(used_BS).to(branch.codes.device))
        for branch, used_BS in zip(levels, used_up, strict=True)
    ]


def used_up(batch: QueryBatch, trie: Trie, before_FN: IntArray | None) -> list[IntArray]:
    """The nodes of each level below which a history holds every allowed item.

    Args:
        batch: histories.
        trie: gives each item its leaf.
        before_FN: as `allowed_before` gives it; None means that all items are allowed.

    Returns:
        per level, [B, S] child nodes; -1 where a query has fewer.
    """
    leaves = len(trie.row_of_leaf)
    pair_E = distinct(batch.query_of_event * leaves + trie.leaf_of_row[batch.item_rows])
    query_E, leaf_E = np.divmod(pair_E, leaves)
    if before_FN is not None:
        filter_E = query_E if len(before_FN) > 1 else 0 * query_E
        is_allowed_E = before_FN[filter_E, leaf_E + 1] > before_FN[filter_E, leaf_E]
        query_E, leaf_E = query_E[is_allowed_E], leaf_E[is_allowed_E]
    levels = []
    for level in trie.levels:
        node_E = np.searchsorted(level.first_leaf, leaf_E, side="right") - 1
        is_new_E = np.ones(len(node_E), dtype=bool)
        is_new_E[1:] = (node_E[1:] != node_E[:-1]) | (query_E[1:] != query_E[:-1])
        start_X = np.flatnonzero(is_new_E)
        seen_X = np.diff(start_X, append=len(node_E))
        query_X, node_X = query_E[start_X], node_E[start_X]
        first_X, stop_X = level.first_leaf[node_X], level.first_leaf[node_X + 1]
        if before_FN is not None:
            filter_X = query_X if len(before_FN) > 1 else 0 * query_X
            first_X, stop_X = before_FN[filter_X, first_X], before_FN[filter_X, stop_X]
        is_full_X = seen_X == stop_X - first_X
        levels.append(_side_by_side(query_X[is_full_X], node_X[is_full_X], len(batch)))
    return levels


def _side_by_side(query_X: IntArray, node_X: IntArray, queries: int) -> IntArray:
    """[B, S] the nodes of each query, in their order, padded with -1."""
    counts_B = np.bincount(query_X, minlength=queries)
    place_X = np.arange(len(query_X)) - np.repeat(np.cumsum(counts_B) - counts_B, counts_B)
    nodes_BS = np.full((queries, counts_B.max(initial=0)), -1, dtype=np.int64)
    nodes_BS[query_X, place_X] = node_X
    return nodes_BS
