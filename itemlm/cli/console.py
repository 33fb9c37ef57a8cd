"""Where the commands write: results to standard output, everything else to standard error.

So `itemlm ... --json > file` holds JSON and nothing else, and progress, notes and warnings are
still seen.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

WIDE = 110  # columns where nobody says how wide the output is: in files and pipes


def show(what: RenderableType = "") -> None:
    """A result: a sentence or a table."""
    unknown_width = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    console = Console(highlight=False, width=WIDE if unknown_width else None)
    console.print(what, soft_wrap=isinstance(what, str))


def show_json(value: Any) -> None:
    """A result for programs."""
    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def say(sentence: str) -> None:
    """Something that happens on the way to the result."""
    Console(stderr=True, highlight=False).print(escape(sentence), style="dim", soft_wrap=True)


def warn(sentence: str) -> None:
    """Something that the reader of the result should know."""
    tell("warning", "yellow", sentence)


def tell(word: str, color: str, sentence: str) -> None:
    """`warning: sentence`, on standard error, with the word in color."""
    line = f"[{color}]{word}:[/{color}] {escape(sentence)}"
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


def table(*headings: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table; the columns named in `numbers` are aligned at the right."""
    from rich import box

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        made.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    return made


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Names with their values, one pair per line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, escape(value))
    return grid
