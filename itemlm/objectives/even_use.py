"""Even use of experts: a small loss that keeps a router from always choosing the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from itemlm.nn.experts import Experts
from itemlm.objectives.objective import Objective


class EvenUse(Objective):
    """The mean `balance` of all `Experts` of a model: 1 at best.

    Added to another objective it shares that one's pass over the batch.
    """

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The mean over the layers."""
        model(batch)
        balances = [part.balance for part in model.modules() if isinstance(part, Experts)]
        return {"even_use": torch.stack(balances).mean()}


def even_use() -> EvenUse:
    """Keeps all experts in use; see `EvenUse`."""
    return EvenUse()
