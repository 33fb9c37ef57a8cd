"""AdamW with warm-up and a cosine or constant learning rate, as one frozen setting."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from itemlm.types import ConfigError


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """How parameters move (Loshchilov and Hutter 2019).

    Attributes:
        learning_rate: the highest, reached after warm-up.
        weight_decay: decoupled; not applied to vectors (norm weights and biases).
        warmup: share of all steps over which the rate rises linearly from zero.
        schedule: after warm-up, "cosine" falls to a tenth of the rate, "constant" keeps it.
        clip: largest norm of the gradient.
    """

    learning_rate: float
    weight_decay: float = 0.0
    warmup: float = 0.02
    schedule: Literal["cosine", "constant"] = "cosine"
    clip: float = 1.0

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate is {self.learning_rate}, but it must be positive.")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"warmup is {self.warmup}, but it is a share of the steps: 0 to 1.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.AdamW:
        """The optimizer over these parameters."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        groups = [
            {
                "params": [parameter for parameter in trained if parameter.ndim >= 2],
                "weight_decay": self.weight_decay,
            },
            {
                "params": [parameter for parameter in trained if parameter.ndim < 2],
                "weight_decay": 0.0,
            },
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=self.learning_rate,
            fused=all(parameter.device.type in ("cpu", "cuda") for parameter in trained),
        )

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step, counted from 0, of a planned number of steps."""
        rising = max(1, round(self.warmup * steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        if self.schedule == "constant":
            return self.learning_rate
        progress = min(1.0, (step - rising) / max(1, steps - rising))
        return self.learning_rate * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)
