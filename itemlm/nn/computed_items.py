"""Item vectors that are computed from other things, such as texts or pieces.

Shapes      N items, D width of all that belongs to an item, which X... divides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class ComputedItems(nn.Module, ABC):
    """A model that computes what it knows of all items: anew in training, once for all questions.

    It is forgotten when the model trains, is loaded or moved. Whoever changes weights otherwise
    calls `train` or `eval` afterwards.
    """

    _items: Tensor | None = None

    @abstractmethod
    def compute_items(self) -> Tensor:
        """[N, X...] from the weights as they are."""

    def items_now(self) -> Tensor:
        """[N, X...] as `compute_items` gives them, kept where nothing is learned."""
        if self.training or torch.is_grad_enabled():
            return self.compute_items()
        if self._items is None:
            self._items = self.compute_items()
        return self._items

    def item_vectors(self) -> Tensor:
        """items_ND: the same with what belongs to an item in one row."""
        return self.items_now().flatten(1)

    def train(self, mode: bool = True) -> Self:
        """Weights change in training, and items with them."""
        self._items = None
        return super().train(mode)

    def _load_from_state_dict(self, *args: Any) -> None:
        """Other weights, other items; called too where this is a part of what is loaded."""
        self._items = None
        super()._load_from_state_dict(*args)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What is kept does not move with the weights."""
        self._items = None
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]
