"""Who took what, as a graph that passes vectors on: LightGCN's propagation, without weights.

Users and items are the nodes, every event is an edge. In one step a node receives the sum of its
neighbors' vectors, each divided by the root of both degrees, so that busy neighbors do not drown
out the others. The mean over all steps holds what is near and what is farther away (He et al.,
"LightGCN", SIGIR 2020, equations 3 and 4).

Shapes      E edges, U users, N items, X nodes (users, then items), D width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from itemlm.types import IntArray


def neighbors(user_row_E: IntArray, item_row_E: IntArray, users: int, items: int) -> Tensor:
    """[X, X] the graph as a sparse matrix: 1 / sqrt(degree * degree) at each edge, both ways.

    Args:
        user_row_E: one end of every edge.
        item_row_E: the other; an edge that is named twice counts once.
        users, items: U and N.
    """
    nodes = users + items
    key_E = np.unique(user_row_E.astype(np.int64) * items + item_row_E)
    user_E, item_E = torch.from_numpy(key_E // items), torch.from_numpy(key_E % items) + users
    row_2E, column_2E = torch.cat([user_E, item_E]), torch.cat([item_E, user_E])
    degree_X = torch.bincount(row_2E, minlength=nodes).float()
    weight_2E = (degree_X[row_2E] * degree_X[column_2E]).rsqrt()
    places = torch.stack([row_2E, column_2E])
    shape = (nodes, nodes)
    return torch.sparse_coo_tensor(places, weight_2E, shape, check_invariants=True).coalesce()


def propagated(graph_XX: Tensor, vectors_XD: Tensor, steps: int) -> Tensor:
    """[X, D] the mean of the vectors and of what 1, 2, ... `steps` steps make of them."""
    total_XD = passed_XD = vectors_XD
    for _ in range(steps):
        passed_XD = torch.sparse.mm(graph_XX, passed_XD)
        total_XD = total_XD + passed_XD
    return total_XD / (steps + 1)
