"""Perceptrons: linear layers with ReLU between.

Shapes      x is [..., widths[0]]; the result is [..., widths[-1]].
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn


def perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Layers that lead from the first width to the last."""
    parts: list[nn.Module] = []
    for enter, leave in itertools.pairwise(widths):
        parts += [nn.Linear(enter, leave), nn.ReLU()]
    return nn.Sequential(*parts[:-1])
