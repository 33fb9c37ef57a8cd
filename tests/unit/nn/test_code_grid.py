"""Vectors of codes by their digits, by hand."""

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.code_grid import CodeGrid, code_grids


def test_a_vector_is_made_from_digits_and_a_row():
    grid = CodeGrid((3, 2), width=2)
    with torch.no_grad():
        # Digits 0, 1, 2 of the first place, then 0, 1 of the second.
        grid.steps.weight.copy_(torch.tensor([[1, 0], [2, 0], [3, 0], [-1, 5], [0, -7]]))
        grid.turn.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        grid.rows.weight[4] = torch.tensor([100.0, 0.0])
    # Code 4 is 1 + 3 * 1: relu([2, 0] + [0, -7]) = [2, 0], turned [2, 0], and its row.
    # Code 2 is 2 + 3 * 0: relu([3, 0] + [-1, 5]) = [2, 5], turned [2, 10].
    assert grid(torch.tensor([4, 2])).tolist() == [[102, 0], [2, 10]]


def test_a_code_that_was_never_met_learns_from_its_digits():
    torch.manual_seed(0)  # or all its ReLUs may be dead
    grid = CodeGrid((3, 2), width=4)
    grid(torch.tensor([0, 1])).sum().backward()
    assert grid.steps.weight.grad.abs().sum(1).tolist()[2] == 0  # digit 2 has not been met
    with torch.no_grad():
        before = grid(torch.tensor([3]))
        grid.steps.weight -= grid.steps.weight.grad
        assert not torch.equal(grid(torch.tensor([3])), before)  # 0 + 3 * 1 shares its first digit


def test_rows_alone_are_shared_by_all_levels():
    first, second = code_grids((3, 2), levels=2, width=4, steps=False)
    assert first is second
    assert not torch.equal(first(torch.tensor([0])), first(torch.tensor([3])))
