"""Objective: all that the training loop calls.

An objective returns named terms; the loss is their sum. Objectives add and scale, so a paper that
adds a term to a loss says just that; the terms of a sum share their first pass over a batch.
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
        shared: list[Any] = []
        for part in self.parts:
            for name, value in part(_FirstPassShared(model, batch, shared), batch).items():
                terms[name] = terms[name] + value if name in terms else value
        return terms


class _FirstPassShared:
    """A model for one part of a sum: what all parts begin with is computed once.

    The first time that a part gives the model the batch of the step, it gets what the first part
    got. Asking again is a new pass, as it must be for a part that wants a second look with other
    dropout.
    """

    def __init__(self, model: Any, batch: Any, shared: list[Any]) -> None:
        self._model, self._batch, self._shared, self._is_first = model, batch, shared, True

    def __call__(self, batch: Any) -> Any:
        if batch is not self._batch or not self._is_first:
            return self._model(batch)
        self._is_first = False
        if not self._shared:
            self._shared.append(self._model(batch))
        return self._shared[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _Scaled(Objective):
    def __init__(self, part: Objective, weight: float) -> None:
        super().__init__()
        self.part, self.weight = part, weight

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        return {name: self.weight * value for name, value in self.part(model, batch).items()}
