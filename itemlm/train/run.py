"""Run: one experiment, with its folder, its seed, its device and the one training loop.

    run.json          what is being fitted to which data with which settings and versions
    stages/           results of finished stages (`run.keep`), which survive a restart
    losses.jsonl      one line per epoch
    checkpoint.safetensors

A run that is killed at any moment and started again with the same settings ends with the same
result as one that was never interrupted, bit for bit on a CPU with the same threads: batches are a
function of (seed, epoch), each step's randomness is a function of (seed, step), and files appear
whole or not at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import nn

from itemlm.data.folder import write_text
from itemlm.data.held_out import HeldOut
from itemlm.objectives.objective import Objective
from itemlm.sample.batches import Batch, Examples
from itemlm.train.checkpoint import Progress, Weights, load_checkpoint, save_checkpoint, weights_of
from itemlm.train.optimizer import AdamW
from itemlm.train.progress import TrainingDisplay
from itemlm.train.validation import ndcg_at_10
from itemlm.types import ConfigError, ItemlmError, TopK

T = TypeVar("T")


class Run:
    """One experiment on disk, or in memory only where no folder is given.

    Attributes:
        seed: of everything random.
        validation: questions for early stopping; without them training runs all its epochs.
        device: where models are trained and asked.
        history: one record per finished epoch of the last training.
        stage_seconds: what each kept stage took when it was made.
        training_seconds: what each training took that is not part of such a stage.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        seed: int = 0,
        validation: HeldOut | None = None,
        device: str = "auto",
        precision: Literal["auto", "bfloat16", "float32"] = "auto",
        quiet: bool = False,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.seed, self.validation, self.quiet = seed, validation, quiet
        self.device = choose_device(device)
        self.low_precision = precision == "bfloat16" or (
            precision == "auto" and _is_fast_in_bfloat16(self.device)
        )
        self.checkpoint_seconds = checkpoint_seconds
        self.history: list[dict[str, Any]] = []
        self.stage_seconds: dict[str, float] = {}
        self.training_seconds: dict[str, float] = {}
        self._in_stage = False
        self._trained: set[str] = set()
        if self.folder is not None:
            (self.folder / "stages").mkdir(parents=True, exist_ok=True)

    @property
    def seconds(self) -> float:
        """Spent on stages and trainings, over all their parts where they were interrupted."""
        return sum(self.stage_seconds.values()) + sum(self.training_seconds.values())

    def keep(self, name: str, make: Callable[[], T], kind: type[T] | None = None) -> T:
        """The result of a stage: made once, then read from the run's folder.

        Args:
            name: file-name-like name of the stage.
            make: computes the result.
            kind: a class with `save(folder)` and `load(folder)`; an array where None.
        """
        if self.folder is None:
            made, self.stage_seconds[name] = self._stage(make)
            return made
        path = self.folder / "stages" / name
        path = path if kind is not None else path.with_suffix(".npy")
        clock = self.folder / "stages" / f"{name}.seconds"
        if not path.exists():
            made, seconds = self._stage(make)
            write_text(clock, str(seconds))
            if kind is not None:
                made.save(path)  # type: ignore[attr-defined]
            else:
                aside = path.with_suffix(".partial.npy")
                np.save(aside, made)  # type: ignore[arg-type]
                aside.replace(path)
        self.stage_seconds[name] = float(clock.read_text()) if clock.exists() else 0.0
        if kind is not None:
            return kind.load(path)  # type: ignore[attr-defined,no-any-return]
        return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]

    def _stage(self, make: Callable[[], T]) -> tuple[T, float]:
        """What a stage makes and the seconds that it takes, those of trainings inside included."""
        began, outer, self._in_stage = time.monotonic(), self._in_stage, True
        try:
            return make(), time.monotonic() - began
        finally:
            self._in_stage = outer

    def train(
        self,
        model: nn.Module,
        objective: Objective,
        examples: Examples[Batch],
        optimizer: AdamW,
        epochs: int,
        *,
        validate: TopK | None = None,
        patience: int = 5,
        questions: int = 100_000,
        validate_every: int = 1,
        name: str = "checkpoint",
    ) -> None:
        """Minimize an objective; the model ends with the weights of its best epoch.

        Args:
            model: moved to the run's device.
            objective: its named terms are summed.
            examples: the same batches for the same epoch, every time.
            optimizer: settings of AdamW and its schedule, planned over all `epochs`.
            epochs: at most this many passes.
            validate: the recommender around `model` whose NDCG@10 on the run's validation
                questions decides which epoch is best; without it, or without questions, the last.
            patience: stop after so many validations without a better one.
            questions: ask at most this many validation questions, a sample chosen by seed.
            validate_every: epochs between validations.
            name: of the checkpoint; a run that trains twice names each training.

        Raises:
            ConfigError: if a number cannot work or the name is taken.
            ItemlmError: if the loss is no longer a number.
        """
        if min(epochs, patience, validate_every) < 1:
            raise ConfigError("epochs, patience and validate_every must be at least 1.")
        if name in self._trained:
            raise ConfigError(f"this run has trained '{name}' already; give each training a name.")
        self._trained.add(name)
        module = nn.ModuleDict({"model": model, "objective": objective}).to(self.device)
        optim = optimizer.build(module.parameters())
        loop = _Loop(self, module, optim, epochs, name)
        asked = None
        if validate is not None and self.validation is not None:
            asked = self.validation.take(questions, self.seed)
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision)
        progress, planned = loop.progress, epochs * examples.steps
        with TrainingDisplay(epochs, examples.steps, quiet=self.quiet) as display:
            display.resume(progress.epoch, progress.history)
            while not progress.finished:
                module.train()
                for batch in examples.batches(progress.epoch, skip=progress.step_in_epoch):
                    self._seed_step(progress.step)
                    for group in optim.param_groups:
                        group["lr"] = optimizer.rate(progress.step, planned)
                    with autocast:
                        terms = objective(model, batch.to(self.device))
                        loss = sum(terms.values())
                    loss.backward()
                    nn.utils.clip_grad_norm_(module.parameters(), optimizer.clip)
                    optim.step()
                    optim.zero_grad(set_to_none=True)
                    loop.count_step({name: float(value.detach()) for name, value in terms.items()})
                    display.step(progress.epoch, progress.step_in_epoch, loop.mean_loss())
                module.eval()
                due = (progress.epoch + 1) % validate_every == 0 or progress.epoch + 1 == epochs
                score = ndcg_at_10(validate, asked) if asked and validate and due else None
                loop.end_epoch(score, optimizer.rate(progress.step - 1, planned), patience)
                display.epoch(progress.history[-1], is_best=progress.best_epoch == progress.epoch)
        loop.restore_best()
        self.history = progress.history
        if not self._in_stage:
            self.training_seconds[name] = float(progress.history[-1]["seconds"])

    def _seed_step(self, step: int) -> None:
        """Make dropout and sampling of a step a function of the run's seed and the step alone."""
        torch.manual_seed(int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0]))


@dataclass
class _Loop:
    """The bookkeeping of one training: progress, best weights, checkpoints."""

    run: Run
    module: nn.ModuleDict
    optim: torch.optim.Optimizer
    epochs: int
    name: str

    def __post_init__(self) -> None:
        self.progress = Progress()
        self.best: Weights | None = None
        folder = self.run.folder
        self.path = None if folder is None else folder / f"{self.name}.safetensors"
        if self.path is not None and self.path.exists():
            self.progress, self.best = load_checkpoint(self.path, self.module, self.optim)
            self._write_losses()
        self.since = self.saved = time.monotonic()

    def mean_loss(self) -> float:
        """Of the current epoch so far."""
        return sum(self.progress.sums.values()) / max(1, self.progress.step_in_epoch)

    def count_step(self, terms: dict[str, float]) -> None:
        """Add up one step and save now and then."""
        progress = self.progress
        for name, value in terms.items():
            progress.sums[name] = progress.sums.get(name, 0.0) + value
        progress.step += 1
        progress.step_in_epoch += 1
        if not np.isfinite(self.mean_loss()):
            raise ItemlmError(
                f"the loss is {terms} at step {progress.step}: training has diverged. "
                "Lower learning_rate, or lengthen the warm-up."
            )
        if time.monotonic() - self.saved > self.run.checkpoint_seconds:
            self._save()

    def end_epoch(self, score: float | None, rate: float, patience: int) -> None:
        """Record an epoch, remember the best one, decide whether to stop, and save."""
        progress, steps = self.progress, self.progress.step_in_epoch
        progress.epoch += 1
        self._tick()
        record: dict[str, Any] = {"epoch": progress.epoch, "step": progress.step}
        record["loss"] = self.mean_loss()
        record |= {name: total / steps for name, total in progress.sums.items()}
        record |= {"learning_rate": rate, "seconds": round(progress.seconds, 2)}
        if score is not None:
            record["validation NDCG@10"] = score
        progress.history.append(record)
        progress.step_in_epoch, progress.sums = 0, {}
        if score is not None and score > progress.best_score:
            progress.best_score, progress.best_epoch = score, progress.epoch
            self.best = weights_of(self.module)
        scores = [r["validation NDCG@10"] for r in progress.history if "validation NDCG@10" in r]
        waited = len(scores) - 1 - int(np.argmax(scores)) if scores else 0
        progress.finished = progress.epoch >= self.epochs or (bool(scores) and waited >= patience)
        self._write_losses()
        self._save()

    def restore_best(self) -> None:
        """Put the best weights back, if validation chose any."""
        if self.best is not None:
            self.module.load_state_dict(self.best)
        self.module.eval()

    def _tick(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.since
        self.since = now

    def _save(self) -> None:
        self.saved = time.monotonic()
        self._tick()
        if self.path is not None:
            save_checkpoint(self.path, self.module, self.optim, self.best, self.progress)

    def _write_losses(self) -> None:
        if self.run.folder is not None:
            lines = [json.dumps(record) for record in self.progress.history]
            losses = "losses" if self.name == "checkpoint" else f"{self.name}-losses"
            path = self.run.folder / f"{losses}.jsonl"
            write_text(path, "".join(f"{line}\n" for line in lines))


def choose_device(name: str) -> torch.device:
    """A device by name; "auto" takes an NVIDIA GPU, then Apple's, then the CPU.

    Raises:
        ConfigError: if the device is not there.
    """
    if name != "auto":
        try:
            torch.empty(0, device=name)
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"device '{name}' cannot be used here: {error}") from error
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _is_fast_in_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 have their own instructions on this device."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
