"""Vectors of codes that are made of digits, as those of finite scalar quantization are.

Codes with a digit in common are alike in one respect. A vector made from the digits says so, and
exists for codes that no training item has; a row of its own lets a code mean something special.

Shapes      X any shape, G digits of a code, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from itemlm.nn.attention import stack
from itemlm.nn.linear import Linear


class CodeGrid(nn.Module):
    """A vector for each code of a level: relu(sum of a vector per digit) @ weight, and its row.

    Args:
        digits: sizes of the digits; the first counts for one.
        width: of the vectors.
        rows: whether a code has a row of its own, which starts at zero.
        steps: whether the digits have vectors.
    """

    starts_G: Tensor
    places_G: Tensor
    sizes_G: Tensor

    def __init__(
        self, digits: Sequence[int], width: int, *, rows: bool = True, steps: bool = True
    ) -> None:
        super().__init__()
        size_G = torch.tensor(tuple(digits))
        ones = torch.ones(1, dtype=torch.long)
        starts_G = torch.cat([0 * ones, size_G.cumsum(0)[:-1]])
        self.register_buffer("sizes_G", size_G, persistent=False)
        self.register_buffer("starts_G", starts_G, persistent=False)
        self.register_buffer(
            "places_G", torch.cat([ones, size_G.cumprod(0)[:-1]]), persistent=False
        )
        self.steps = nn.Embedding(sum(digits), width) if steps else None
        self.turn = Linear(width, width) if steps else None
        self.rows = nn.Embedding(math.prod(digits), width) if rows else None
        if self.rows is not None:
            nn.init.normal_(self.rows.weight, std=0.0 if steps else 0.02)

    def forward(self, codes_X: Tensor) -> Tensor:
        """[X, D] the vectors of codes."""
        parts: list[Tensor] = []
        if self.steps is not None and self.turn is not None:
            digits_XG = codes_X[..., None] // self.places_G % self.sizes_G + self.starts_G
            parts.append(self.turn(self.steps(digits_XG).sum(-2).relu()))
        if self.rows is not None:
            parts.append(self.rows(codes_X))
        vectors_XD: Tensor = sum(parts[1:], parts[0])
        return vectors_XD


def code_grids(
    digits: Sequence[int], levels: int, width: int, *, rows: bool = True, steps: bool = True
) -> Sequence[CodeGrid]:
    """One grid per level; where codes have only rows, the levels share them."""
    if not steps:
        return stack([CodeGrid(digits, width, rows=rows, steps=steps)] * levels)
    return stack(CodeGrid(digits, width, rows=rows, steps=steps) for _ in range(levels))
