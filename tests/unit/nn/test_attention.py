"""Attention in plain matrix products gives what PyTorch's fused kernel gives."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import scaled_dot_product_attention

from itemlm.nn import attention
from itemlm.nn.attention import KeysValues

ROWS, HEADS, LENGTH, WIDTH = 3, 2, 5, 4


def parts(dtype, seen=LENGTH):
    """Query, keys and values that want a gradient."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(ROWS, HEADS, length, WIDTH, generator=generator).to(dtype).requires_grad_()
        for length in (LENGTH, seen, seen)
    ]


def masks():
    """By name: a mask over seven keys."""
    generator = torch.Generator().manual_seed(2)
    drawn = torch.rand(ROWS, 1, LENGTH, 7, generator=generator) < 0.6
    drawn[..., 0] = True  # everybody sees something
    return {
        "none": None,
        "per query": drawn,
        "per row": drawn[:, :, :1],
        "shared": drawn[0, 0],
        "bias": torch.randn(1, HEADS, LENGTH, 7, generator=generator),
    }


@pytest.mark.parametrize("name", masks())
@pytest.mark.parametrize("causal", [False, True])
def test_plain_products_equal_the_fused_kernel(name, causal):
    if causal and name != "none":
        pytest.skip("the fused kernel takes one or the other")
    mask = masks()[name]
    query, keys, values = parts(torch.float32, seen=LENGTH if causal else 7)
    fused = scaled_dot_product_attention(query, keys, values, mask, is_causal=causal)
    plain = attention._mixed_plainly(query, KeysValues(keys, values), mask, causal)
    torch.testing.assert_close(plain, fused)
    towards = torch.randn_like(fused)
    expected = torch.autograd.grad(fused, (query, keys, values), towards)
    found = torch.autograd.grad(plain, (query, keys, values), towards)
    for mine, right in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-5)


def test_a_query_that_sees_nothing_is_still_a_number():
    query, keys, values = parts(torch.bfloat16)
    nothing = torch.zeros(ROWS, 1, 1, LENGTH, dtype=torch.bool)
    out = attention.mixed(query, KeysValues(keys, values), nothing, False)
    assert out.isfinite().all()


def test_low_precision_stays_close():
    query, keys, values = parts(torch.bfloat16)
    fine = [part.detach().float() for part in (query, keys, values)]
    expected = scaled_dot_product_attention(*fine, is_causal=True)
    found = attention.mixed(query, KeysValues(keys, values), None, True)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.03, atol=0.03)
