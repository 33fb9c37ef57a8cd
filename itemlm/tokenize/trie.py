"""The trie of all Semantic IDs in a catalog, as flat arrays.

Items sorted by their codes put every prefix's items side by side, so a node is a span of leaves
and its children are a span of the next level's nodes. Looking up the children of many beams is one
gather, and "is any allowed item left below this node?" is a difference of two counts.

    level 0         level 1                 leaves = items in code order
    root ──5── a ──1── d                    0
          │    └──7── e                     1
          └─9── b ──1── f                   2

A path that has ended goes on along edges with code -1, which cost nothing.

Shapes      N items, L levels; a level has P parent nodes and C child nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlm.types import DataError, IntArray


@dataclass(frozen=True)
class TrieLevel:
    """The edges from the nodes of one depth to those of the next.

    Attributes:
        first_child: [P + 1]; node p has children first_child[p]:first_child[p + 1].
        codes: [C] the code on the edge into each child.
        first_leaf: [C + 1]; child c covers leaves first_leaf[c]:first_leaf[c + 1].
        max_children: most children of any node.
    """

    first_child: IntArray
    codes: IntArray
    first_leaf: IntArray
    max_children: int


@dataclass(frozen=True)
class Trie:
    """All Semantic IDs of a catalog.

    Attributes:
        levels: the edges, from the root down.
        row_of_leaf: [N] the item at each leaf.
        leaf_of_row: [N] the leaf of each item.
    """

    levels: tuple[TrieLevel, ...]
    row_of_leaf: IntArray
    leaf_of_row: IntArray

    @classmethod
    def build(cls, codes_NL: IntArray) -> Trie:
        """From one row of codes per item.

        Raises:
            DataError: if two items have the same codes.
        """
        order_N = np.lexsort(codes_NL.T[::-1])
        sorted_NL = codes_NL[order_N]
        starts_prefix_N = np.zeros(len(sorted_NL), dtype=bool)
        starts_prefix_N[:1] = True
        parents = np.zeros(1, dtype=np.int64)
        levels = []
        for column_N in sorted_NL.T:
            starts_prefix_N[1:] |= column_N[1:] != column_N[:-1]
            children = np.flatnonzero(starts_prefix_N)
            first_child = np.append(np.searchsorted(children, parents), len(children))
            levels.append(
                TrieLevel(
                    first_child=first_child,
                    codes=column_N[children].astype(np.int64),
                    first_leaf=np.append(children, len(sorted_NL)),
                    max_children=int(np.diff(first_child).max()),
                )
            )
            parents = children
        if len(parents) != len(codes_NL):
            raise DataError(
                f"{len(codes_NL) - len(parents)} items share their codes with another item; "
                "a trie needs unique codes (ItemTokens makes them so)."
            )
        return cls(tuple(levels), order_N, np.argsort(order_N))
