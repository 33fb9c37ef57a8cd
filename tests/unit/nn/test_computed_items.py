"""Computed items: once for all questions, and never out of date."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from itemlm.nn.computed_items import ComputedItems


class Doubled(ComputedItems):
    """Three items of two parts, twice their weights; counts how often they are computed."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).view(3, 2, 1))
        self.computed = 0

    def compute_items(self):
        self.computed += 1
        return self.weight * 2


@torch.inference_mode()
def test_once_where_nothing_is_learned():
    model = Doubled().eval()
    assert model.item_vectors().tolist() == [[0, 2], [4, 6], [8, 10]]
    assert model.items_now().shape == (3, 2, 1)
    assert model.computed == 1


def test_anew_where_something_is():
    model = Doubled()
    model.item_vectors().sum().backward()
    assert model.weight.grad.flatten().tolist() == [2.0] * 6
    model.eval()
    model.item_vectors().sum().backward()  # answering, and yet with gradients
    assert model.computed == 2


def change_in_training(model):
    model.train()
    model.weight.data.fill_(1)
    model.eval()


def change_by_loading(model):
    model.load_state_dict({"weight": torch.ones(3, 2, 1)})


def change_by_moving(model):
    model.weight.data.fill_(1)
    model.to(torch.float64)


@pytest.mark.parametrize("change", [change_in_training, change_by_loading, change_by_moving])
def test_forgotten_when_weights_change(change):
    model = Doubled().eval()
    with torch.inference_mode():
        model.item_vectors()
    change(model)
    with torch.inference_mode():
        assert model.item_vectors().tolist() == [[2, 2]] * 3
        assert model.item_vectors().dtype == model.weight.dtype
