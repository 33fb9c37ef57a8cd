"""A linear layer that makes the most of a processor when nothing is learned.

PyTorch hands float32 products to MKL, which keeps its AVX-512 kernels to Intel's processors.
oneDNN, which comes with PyTorch as well, does not: on a core of an AMD EPYC, 210 against 50 to 95
GFLOP/s.
"""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

ENOUGH_PRODUCTS = 2**20  # of numbers, for oneDNN to make up for what calling it costs
HAS_ONEDNN = platform.machine() in ("x86_64", "AMD64") and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)


class Linear(nn.Linear):
    """`nn.Linear` without bias, whose products run on oneDNN where no gradient is asked for."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., outputs] of x [..., inputs]."""
        return product(x, self.weight)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """[..., outputs] x @ weight.T, for x [..., inputs] and weight [outputs, inputs]."""
    if not _suits_onednn(x, weight):
        return linear(x, weight)
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return out


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        HAS_ONEDNN
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() * len(weight) >= ENOUGH_PRODUCTS
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )
