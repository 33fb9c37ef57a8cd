"""Our normalization against PyTorch's, and by hand."""

from math import sqrt

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from itemlm.nn.norm import RMSNorm


def test_by_hand():
    norm = RMSNorm(2)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 10.0]))
    rms = sqrt((3**2 + 4**2) / 2)
    found = norm(torch.tensor([[3.0, 4.0]], requires_grad=True))
    assert found[0].tolist() == pytest.approx([3 / rms, 10 * 4 / rms])


@pytest.mark.parametrize("shape", [(7, 5), (2, 3, 5)])
def test_values_and_gradients_of_the_plain_version(shape):
    torch.manual_seed(0)
    mine, plain = RMSNorm(5), nn.RMSNorm(5)
    with torch.no_grad():
        mine.weight.normal_()
    plain.load_state_dict(mine.state_dict())
    x, towards = torch.randn(shape, requires_grad=True), torch.randn(shape)
    torch.testing.assert_close(mine(x), plain(x))
    found = torch.autograd.grad(mine(x), (x, mine.weight), towards)
    expected = torch.autograd.grad(plain(x), (x, plain.weight), towards)
    for ours, right in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, right)


def test_gradients_by_finite_differences():
    torch.manual_seed(0)
    norm = RMSNorm(3).double()
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, (x,))


def test_a_row_of_zeros_has_a_gradient():
    x = torch.zeros(2, 3, requires_grad=True)
    RMSNorm(3)(x).sum().backward()
    assert x.grad.isfinite().all()
