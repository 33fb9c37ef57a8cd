"""Propagation over the graph of users and items."""

import numpy as np
import pytest
import torch

from itemlm.nn.graph import neighbors, propagated

# Two users and an item: user 0 and user 1 both took item 0, twice in one case.
EDGES = np.array([0, 1, 1]), np.array([0, 0, 0])


def test_the_graph_of_three_nodes():
    graph = neighbors(*EDGES, users=2, items=1).to_dense()
    # Nodes: user 0 (degree 1), user 1 (degree 1), item (degree 2); 1 / sqrt(1 * 2).
    w = 0.5**0.5
    assert graph.flatten().tolist() == pytest.approx([0, 0, w, 0, 0, w, w, w, 0])


def test_two_steps_by_hand():
    graph = neighbors(*EDGES, users=2, items=1)
    vectors = torch.tensor([[1.0], [0.0], [0.0]])
    w = 0.5**0.5
    # Step 1: only the item hears of user 0, w. Step 2: both users hear it from the item, w * w.
    after = [(1 + 0 + w * w) / 3, (0 + 0 + w * w) / 3, (0 + w + 0) / 3]
    assert propagated(graph, vectors, 2).flatten().tolist() == pytest.approx(after)
    assert torch.equal(propagated(graph, vectors, 0), vectors)


def test_a_node_without_neighbors_keeps_its_share():
    graph = neighbors(np.array([0]), np.array([0]), users=1, items=2)
    out = propagated(graph, torch.tensor([[0.0], [0.0], [3.0]]), 2)
    assert out.flatten().tolist() == pytest.approx([0, 0, 1])
