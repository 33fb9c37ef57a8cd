"""Sums of table rows by hand, padding, and items that are added later."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.piece_sum import PieceSum, Projected


def test_an_item_is_the_sum_of_its_rows() -> None:
    items = PieceSum(torch.tensor([[0, 2], [1, -1]]), table=3, width=2)
    with torch.no_grad():
        items.table.weight[:3] = torch.tensor([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
    assert items.vectors().tolist() == [[101.0, 202.0], [10.0, 20.0]]
    read = items(torch.tensor([[1, 0], [0, 2]]))  # row 2 is padding
    assert read.shape == (2, 2, 2)
    assert read[0].tolist() == [[10.0, 20.0], [101.0, 202.0]]


def test_what_is_learned_of_one_item_is_learned_of_those_that_share_its_rows() -> None:
    items = PieceSum(torch.tensor([[0, 2], [1, 2], [1, 3]]), table=4, width=1)
    items.vectors()[0].sum().backward()
    assert items.table.weight.grad is not None
    # Item 0 has rows 0 and 2; item 1 shares row 2; the padding row learns nothing.
    assert items.table.weight.grad[:, 0].tolist() == [1, 0, 1, 0, 0]


def test_new_items_are_made_of_known_rows_and_old_ones_stay() -> None:
    items = PieceSum(torch.tensor([[0, 2], [1, -1]]), table=3, width=4)
    before = items.vectors().detach()
    items.append(torch.tensor([[0, 2, -1], [0, 1, 2]]))
    after = items.vectors().detach()
    rows = items.table.weight
    assert torch.equal(after[:2], before)
    assert torch.equal(after[2], before[0])  # made of the same pieces as item 0
    assert torch.allclose(after[3], rows[0] + rows[1] + rows[2])


def test_a_projection_keeps_what_is_given() -> None:
    items = Projected(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), width=3)
    assert torch.allclose(items.vectors(), torch.tensor([[1.0], [2.0]]) * items.project.weight.T)
    assert torch.equal(items(torch.tensor([1, 0])), items.vectors()[[1, 0]])
    assert [name for name, _ in items.named_parameters()] == ["project.weight"]
