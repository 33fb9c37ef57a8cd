"""Dropout whose random numbers are cheap on a processor.

`torch.nn.Dropout` draws one number per element there, which took a sixth of a training step of
SASRec. This one draws bits in bulk and spends sixteen of them on each element. On other devices it
is `torch.nn.Dropout`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BITS = 16  # of randomness per element: the probability is met to within 1/131072
PER_DRAW = 64 // BITS


class Dropout(nn.Dropout):
    """Zeroes elements with probability `p` in training and scales the others by 1 / (1 - p)."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape; a function of torch's seed."""
        if not self.training or self.p in (0, 1) or x.device.type != "cpu":
            plain: Tensor = super().forward(x)
            return plain
        draws = torch.empty(-(-x.numel() // PER_DRAW), dtype=torch.int64)
        draws.random_(-(2**63), None)  # every value of 64 bits
        bits = draws.view(torch.int16)[: x.numel()].view(x.shape)
        lowest_kept = round(self.p * 2**BITS) - 2 ** (BITS - 1)  # of the signed values
        kept: Tensor = (bits >= lowest_kept).to(x.dtype).mul_(1 / (1 - self.p))
        return x * kept
