"""Objective: all that the training loop calls.

An objective returns named terms; the loss is their sum. Objectives add and scale, so a paper that
adds a term to a loss says just that.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Objective(nn.Module):
    """A loss as named terms. It may own parameters, which are trained with the model's."""

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The terms of the loss on one batch, already weighted."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __add__(self, other: Objective) -> Objective:
        return _Sum(self, other)

    def __rmul__(self, weight: float) -> Objective:
        return _Scaled(self, weight)


class _Sum(Objective):
    def __init__(self, *parts: Objective) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        for part in self.parts:
            for name, value in part(model, batch).items():
                terms[name] = terms[name] + value if name in terms else value
        return terms


class _Scaled(Objective):
    def __init__(self, part: Objective, weight: float) -> None:
        super().__init__()
        self.part, self.weight = part, weight

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        return {name: self.weight * value for name, value in self.part(model, batch).items()}
