"""Dropout: how many, how much, and that the seed decides."""

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_the_share_and_the_scale(p):
    torch.manual_seed(0)
    x = torch.ones(401, 997)  # not a multiple of the elements that a draw serves
    out = Dropout(p)(x)
    dropped = float((out == 0).float().mean())
    error = (p * (1 - p) / x.numel()) ** 0.5
    assert dropped == pytest.approx(p, abs=4 * error)
    assert out[out != 0].unique().tolist() == pytest.approx([1 / (1 - p)])


def test_elements_and_steps_are_independent():
    torch.manual_seed(0)
    dropout = Dropout(0.5)
    first, second = ((dropout(torch.ones(100_000)) > 0).float() for _ in range(2))
    for one, other in ((first, second), (first[:-1], first[1:]), (first[:-4], first[4:])):
        assert torch.corrcoef(torch.stack([one, other]))[0, 1].abs() < 0.015


def test_the_seed_decides():
    dropout = Dropout(0.3)
    torch.manual_seed(5)
    first = dropout(torch.ones(50))
    torch.manual_seed(5)
    assert torch.equal(dropout(torch.ones(50)), first)


def test_gradients_pass_where_values_do():
    torch.manual_seed(0)
    x = torch.ones(50, requires_grad=True)
    out = Dropout(0.2)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out)


def test_nothing_happens_outside_training():
    x = torch.ones(50)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(1.0)(x), torch.zeros(50))
