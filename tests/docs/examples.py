"""The examples of the README and the documentation: found, run, and their outputs compared.

    python tests/docs/examples.py     write what the examples print now into the pages

A page's examples run from top to bottom with shared variables in an empty folder. CONTRIBUTING.md
tells which comments steer them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Comments, each on a line of its own, and the fenced block right under them.
BLOCK = re.compile(r"((?:^<!-- .*? -->\n)*)^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"^<!-- (.*?) -->$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block.

    Attributes:
        kind: "python", "bash", "text"...
        text: between the fences.
        line: of the text in its page.
        comments: above it.
        span: of the text, in characters of the page.
    """

    kind: str
    text: str
    line: int
    comments: tuple[str, ...]
    span: tuple[int, int]

    @property
    def file(self) -> str | None:
        """The name of the file that it is, if it is one."""
        names = [c.removeprefix("file: ") for c in self.comments if c.startswith("file: ")]
        return names[0] if names else None

    @property
    def tested(self) -> str:
        """The text with what `in tests: A => B` puts in place."""
        text = self.text
        for comment in self.comments:
            if comment.startswith("in tests: "):
                given, _, instead = comment.removeprefix("in tests: ").partition(" => ")
                assert given in text, f"'{given}' is not in the example under '{comment}'"
                text = text.replace(given, instead)
        return text


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            kind=match[2],
            text=match[3],
            line=text.count("\n", 0, match.start(3)) + 1,
            comments=tuple(COMMENT.findall(match[1])),
            span=match.span(3),
        )
        for match in BLOCK.finditer(text)
    ]


def outputs(page: Path) -> Iterator[tuple[Block, str]]:
    """Run a page's Python examples in the current folder.

    Yields:
        each text block that follows `<!-- prints -->`, and what the example above it has printed.
    """
    variables: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for block in blocks(page):
        if block.kind == "python" and block.file is None:
            code = compile("\n" * (block.line - 1) + block.tested, str(page), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(code, variables)
            printed = stream.getvalue()
        elif "prints" in block.comments:
            yield block, printed


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The command lines of a page's shell examples, as a line and its words without comments."""
    import shlex

    for block in blocks(page):
        if block.kind == "bash":
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield line, words


def write_outputs(page: Path) -> None:
    """Put what the examples print now into a page."""
    found = list(outputs(page))
    text = page.read_text(encoding="utf-8")
    for block, printed in reversed(found):
        start, stop = block.span
        text = text[:start] + printed + text[stop:]
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    chosen = [Path(name).resolve() for name in sys.argv[1:]] or PAGES
    for chosen_page in chosen:
        with tempfile.TemporaryDirectory() as empty:
            os.chdir(empty)
            write_outputs(chosen_page)
            os.chdir(ROOT)
