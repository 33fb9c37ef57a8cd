"""What a person sees while a model trains: a bar in a terminal, one line per epoch in a log."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TrainingDisplay:
    """A progress bar over all steps, and one printed line per epoch."""

    def __init__(self, epochs: int, steps: int, *, quiet: bool) -> None:
        self.quiet, self.epochs, self.steps = quiet, epochs, steps
        self.console = Console(stderr=True, highlight=False)
        live = not quiet and sys.stderr.isatty()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("at most"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not live,
        )
        self.task = self.bar.add_task("training", total=epochs * steps)

    def __enter__(self) -> TrainingDisplay:
        self.bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.__exit__(kind, error, trace)

    def resume(self, epoch: int, history: list[dict[str, Any]]) -> None:
        """Say that finished epochs are not done again."""
        if history and not self.quiet:
            self.console.print(f"resuming after epoch {epoch}")

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Show a step."""
        self.bar.update(
            self.task,
            completed=epoch * self.steps + step,
            description=f"epoch {epoch + 1}/{self.epochs}  loss {loss:.4f}",
        )

    def epoch(self, record: dict[str, Any], *, is_best: bool) -> None:
        """Print the line of an epoch."""
        if self.quiet:
            return
        score = record.get("validation NDCG@10")
        valid = "" if score is None else f"  validation NDCG@10 {score:.4f}"
        self.console.print(
            f"epoch {record['epoch']:>3}  loss {record['loss']:.4f}{valid}"
            f"{' *' if is_best else '  '}  {record['seconds']:.0f} s"
        )
