"""The linear layer, against PyTorch's own."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import linear

from itemlm.nn.linear import ENOUGH_PRODUCTS, Linear

ENOUGH_ROWS = 1 + ENOUGH_PRODUCTS // 15  # of five numbers, each times three weights

SHAPES = [(1, 5), (ENOUGH_ROWS, 5), (0, 5), (3, ENOUGH_ROWS, 5)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_plain_layer(shape, dtype):
    torch.manual_seed(1)
    layer, x = Linear(5, 3).to(dtype), torch.randn(shape, dtype=dtype)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), linear(x, layer.weight))
        turned = x.transpose(0, -2)  # laid out differently in memory
        torch.testing.assert_close(layer(turned), linear(turned, layer.weight))


def test_it_learns():
    layer, x = Linear(5, 3), torch.randn(64, 5)
    layer(x).sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.sum(0).expand(3, -1))


def test_autocast_lowers_the_precision():
    layer, x = Linear(5, 3), torch.randn(2 * ENOUGH_ROWS, 5)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
