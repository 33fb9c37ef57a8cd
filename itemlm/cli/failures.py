"""What happens when a command fails: a sentence for people's mistakes, a traceback for ours.

Exit codes: 0 done, 1 a mistake that could be explained or a bug, 2 a command line that could not be
understood (typer's own message), 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

PANELS = ("Start here", "Your data", "Models")  # of the help, in this order


class Root(TyperGroup):
    """The `itemlm` command itself: every failure of every command comes through here."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of help: by panel, whether a command or a group of them."""
        names = super().list_commands(ctx)
        panels = [getattr(self.commands[name], "rich_help_panel", "") for name in names]
        return sorted(names, key=lambda name: PANELS.index(panels[names.index(name)]))

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            _tell("interrupted", str(interrupt) or "nothing was kept.", "yellow")
            raise typer.Exit(130) from interrupt
        except Exception as error:
            # Typer's own, which it prints itself, carry their exit code.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort | BrokenPipeError):
                raise
            sentence = _explained(error)
            if sentence is None or ctx.params["debug"]:
                traceback.print_exception(error, file=sys.stderr)
            _tell("error", sentence or _BUG, "red")
            raise typer.Exit(1) from error


_BUG = (
    "this is a bug in itemlm, not a mistake of yours. Please report it with the lines above, the "
    "command and the output of `itemlm doctor`."
)


def _explained(error: Exception) -> str | None:
    """The sentence for a mistake that we know how to mend; None for a bug."""
    from itemlm.types import ItemlmError

    if isinstance(error, ItemlmError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return None


def _tell(word: str, sentence: str, color: str) -> None:
    line = f"[{color}]{word}:[/{color}] {escape(sentence)}"
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Work that goes on where it ended: an interruption says so."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            f"finished work is kept in {folder}. Give the same command again to go on."
        ) from interrupt
