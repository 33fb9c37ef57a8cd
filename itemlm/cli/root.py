"""The `itemlm` command itself: the order of its help, and what happens when a command fails.

A mistake of the user's is told in a sentence, a bug of ours with its traceback. Exit codes: 0 done,
1 a mistake that could be explained or a bug, 2 a command line that could not be understood (typer's
own message), 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from itemlm.cli.console import tell

# In the order in which one meets them.
ORDER = (
    *("demo", "papers", "doctor"),
    *("data", "encode", "export-encoder", "tokenize"),
    *("fit", "compare", "evaluate", "recommend", "steer"),
    *("serve", "keys", "ab"),
)


class Root(TyperGroup):
    """The `itemlm` command itself: every failure of every command comes through here."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names as help lists them."""
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            tell("interrupted", "yellow", str(interrupt) or "nothing was kept.")
            raise typer.Exit(130) from interrupt
        except Exception as error:
            # Typer's own, which it prints itself, carry their exit code.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort | BrokenPipeError):
                raise
            sentence = _explained(error)
            if sentence is None or ctx.params["debug"]:
                traceback.print_exception(error, file=sys.stderr)
            tell("error", "red", sentence or _BUG)
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


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Work that goes on where it ended: an interruption says so."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            f"finished work is kept in {folder}. Give the same command again to go on."
        ) from interrupt
