"""Losses by hand: the arithmetic stands in the test."""

from math import exp, log
from unittest import mock

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import itemlm.objectives.softmax as softmax_module
from itemlm.objectives.bce import bce, in_own_window
from itemlm.objectives.next_code import next_code
from itemlm.objectives.objective import Objective
from itemlm.objectives.softmax import chunked_softmax, softmax
from itemlm.sample.next_items import SequenceBatch


class Fixed(nn.Module):
    """A model whose state after every position is (1, 0); items are given."""

    def __init__(self, items_ND):
        super().__init__()
        self.items_ND = torch.tensor(items_ND)

    def forward(self, batch):
        state_BTD = torch.zeros(*batch.items_BT.shape, 2)
        state_BTD[..., 0] = 1
        return state_BTD

    def item_vectors(self):
        return self.items_ND


# Items score 0, 1 and 3. One history of items 0, 1 and then padding; what follows is 1, then 2.
MODEL = Fixed([[0.0, 5.0], [1.0, 5.0], [3.0, 5.0]])
BATCH = SequenceBatch(
    items_BT=torch.tensor([[0, 1, 3]]),
    lengths_B=torch.tensor([2]),
    targets_BT=torch.tensor([[1, 2, -1]]),
)


def test_softmax_is_the_mean_over_targets():
    total = exp(0) + exp(1) + exp(3)
    expected = (-log(exp(1) / total) - log(exp(3) / total)) / 2
    assert float(softmax()(MODEL, BATCH)["softmax"]) == pytest.approx(expected)


def test_bce_leaves_out_negatives_from_the_window():
    # Every item is in the window, so every negative is a false one: only the targets count.
    def sigmoid(x):
        return 1 / (1 + exp(-x))

    expected = (-log(sigmoid(1)) - log(sigmoid(3))) / 2
    assert float(bce(4)(MODEL, BATCH)["bce"]) == pytest.approx(expected)


def test_bce_counts_a_true_negative():
    # Item 0 is the only one outside the window 1 -> 2; wherever it is drawn, it scores 0.
    batch = SequenceBatch(torch.tensor([[1]]), torch.tensor([1]), torch.tensor([[2]]))
    torch.manual_seed(0)
    drawn = torch.randint(3, (1, 1000))
    torch.manual_seed(0)
    share = float((drawn == 0).float().mean())
    expected = -log(1 / (1 + exp(-3))) - share * log(1 / 2)
    assert float(bce(1000)(MODEL, batch)["bce"]) == pytest.approx(expected, rel=1e-5)


def test_next_code_is_the_mean_over_levels():
    def model(batch):
        return [
            (torch.tensor([[0.0, log(3)]]), torch.tensor([1])),  # p = 3/4
            (torch.tensor([[0.0, 0.0]]), torch.tensor([0])),  # p = 1/2
        ]

    loss = next_code()(model, None)["next_code"]
    assert float(loss) == pytest.approx((-log(3 / 4) - log(1 / 2)) / 2)


def test_objectives_add_and_scale():
    class Constant(Objective):
        def __init__(self, name, value):
            super().__init__()
            self.name, self.value = name, value

        def forward(self, model, batch):
            return {self.name: torch.tensor(self.value)}

    both = Constant("a", 2.0) + 0.5 * Constant("b", 3.0) + Constant("a", 1.0)
    assert {name: float(value) for name, value in both(None, None).items()} == {"a": 3.0, "b": 1.5}


@settings(deadline=None, max_examples=25)
@given(
    positions=st.integers(1, 9),
    items=st.integers(1, 7),
    width=st.integers(1, 5),
    seed=st.integers(0),
)
def test_chunks_give_the_loss_and_gradients_of_the_plain_version(positions, items, width, seed):
    generator = torch.Generator().manual_seed(seed % 2**32)
    state_MD = torch.randn(positions, width, generator=generator, requires_grad=True)
    items_ND = torch.randn(items, width, generator=generator, requires_grad=True)
    targets_M = torch.randint(items, (positions,), generator=generator)
    plain = nn.functional.cross_entropy(state_MD @ items_ND.T, targets_M)
    expected = torch.autograd.grad(3 * plain, (state_MD, items_ND))

    with mock.patch.multiple(softmax_module, CHUNK_BYTES=1, LEAST_ROWS=2):  # two rows a chunk
        loss = chunked_softmax(state_MD, items_ND, targets_M)
        found = torch.autograd.grad(3 * loss, (state_MD, items_ND))
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5, abs=1e-6)
    for mine, right in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-5)


def test_a_batch_large_enough_for_the_fast_products():
    torch.manual_seed(0)
    state_MD = torch.randn(150, 24, requires_grad=True)
    items_ND = torch.randn(400, 24, requires_grad=True)
    targets_M = torch.randint(400, (150,))
    plain = nn.functional.cross_entropy(state_MD @ items_ND.T, targets_M)
    loss = chunked_softmax(state_MD, items_ND, targets_M)
    expected = torch.autograd.grad(plain, (state_MD, items_ND))
    found = torch.autograd.grad(loss, (state_MD, items_ND))
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    for mine, right in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])  # logits up to 1e1, 1e3 and 1e5
def test_large_logits_do_not_overflow(scale):
    torch.manual_seed(0)
    state_MD = (scale * torch.randn(9, 4)).requires_grad_()
    items_ND = torch.randn(20, 4, requires_grad=True)
    targets_M = torch.randint(20, (9,))
    plain = nn.functional.cross_entropy(state_MD @ items_ND.T, targets_M)
    loss = chunked_softmax(state_MD, items_ND, targets_M)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    expected = torch.autograd.grad(plain, (state_MD, items_ND))
    found = torch.autograd.grad(loss, (state_MD, items_ND))
    for mine, right in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-5 * scale)


def test_low_precision_stays_close():
    torch.manual_seed(0)
    state_MD = torch.randn(50, 16, requires_grad=True)
    items_ND = torch.randn(200, 16, requires_grad=True)
    targets_M = torch.randint(200, (50,))
    plain = nn.functional.cross_entropy(state_MD @ items_ND.T, targets_M)
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_softmax(state_MD, items_ND, targets_M)
    assert loss.item() == pytest.approx(plain.item(), rel=0.01)
    expected = torch.autograd.grad(plain, (state_MD, items_ND))
    found = torch.autograd.grad(loss, (state_MD, items_ND))
    for mine, right in zip(found, expected, strict=True):
        assert float((mine - right).norm() / right.norm()) < 0.01


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    items=st.integers(1, 9),
    negatives=st.integers(1, 4),
    seed=st.integers(0),
)
def test_false_negatives_are_those_of_the_plain_version(lengths, items, negatives, seed):
    generator = torch.Generator().manual_seed(seed % 2**32)
    lengths_B = torch.tensor(lengths)
    shape = (len(lengths), max(lengths))
    is_real_BT = torch.arange(shape[1]) < lengths_B[:, None]
    items_BT = torch.randint(items, shape, generator=generator).where(is_real_BT, items)
    targets_BT = torch.randint(items, shape, generator=generator).where(is_real_BT, -1)
    batch = SequenceBatch(items_BT, lengths_B, targets_BT)
    rows_MK = torch.randint(items, (sum(lengths), negatives), generator=generator)
    seen_BT = torch.cat([items_BT, targets_BT], dim=1)
    window_M = is_real_BT.nonzero()[:, 0]
    plain = (rows_MK[:, :, None] == seen_BT[window_M][:, None]).any(-1)
    assert torch.equal(in_own_window(rows_MK, batch, items), plain)
