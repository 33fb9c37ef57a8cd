"""Checkpoints: everything that training needs to go on as if it had never stopped.

One safetensors file, written aside and renamed, so that a kill at any moment leaves either the old
or the new one. It holds the weights, the best weights so far, the optimizer's moments, and the
counters as JSON. Random numbers need no saving: each step seeds itself from (seed, step).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from itemlm.types import ArtifactError


@dataclass
class Progress:
    """How far training has come.

    Attributes:
        epoch: epochs finished.
        step: steps finished, over all epochs.
        step_in_epoch: steps finished of the current epoch.
        sums: of each loss term over the current epoch.
        best_score: highest validation score so far, and the epoch that reached it.
        history: one record per finished epoch, as written to losses.jsonl.
        finished: whether training has ended.
        seconds: spent training so far.
    """

    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best_score: float = float("-inf")
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    seconds: float = 0.0


Weights = dict[str, Tensor]


def weights_of(module: nn.Module) -> Weights:
    """A copy of a module's weights on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def save_checkpoint(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: Weights | None,
    progress: Progress,
) -> None:
    """Write aside, then rename."""
    tensors = {f"weights/{name}": value for name, value in weights_of(module).items()}
    tensors |= {f"best/{name}": value for name, value in (best or {}).items()}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer/{index}/{name}"] = value.detach().cpu().clone()
    aside = path.with_suffix(".partial")
    save_file(tensors, aside, metadata={"progress": json.dumps(asdict(progress))})
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def load_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[Progress, Weights | None]:
    """Put a checkpoint's weights and moments in place.

    Returns:
        progress, and the best weights so far.

    Raises:
        ArtifactError: if the file does not fit the model.
    """
    groups: dict[str, Weights] = {"weights": {}, "best": {}, "optimizer": {}}
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            for key in file.keys():  # noqa: SIM118 (a safetensors file is not a mapping)
                group, _, name = key.partition("/")
                groups[group][name] = file.get_tensor(key)
        module.load_state_dict(groups["weights"])
    except Exception as error:
        raise ArtifactError(
            f"the checkpoint {path} cannot be used with this model ({error}). "
            "Delete it to train from the start, or choose another run folder."
        ) from error
    _load_moments(optimizer, groups["optimizer"])
    return progress, groups["best"] or None


def _load_moments(optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
