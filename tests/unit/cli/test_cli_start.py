"""Help, version, completion and the time to the first letter."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import itemlm
from itemlm.cli import app
from itemlm.cli.root import ORDER

COMMAND = Path(sys.executable).with_name("itemlm")


def commands(group: object, *words: str) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every command with the words that call it."""
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, name)
        else:
            yield (*words, name), command


EVERY = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_the_help_of_every_command_has_an_example(words, itemlm):
    result = itemlm(*words, "--help")
    assert f"itemlm {' '.join(words)}" in result.stdout.split("For example:")[1]
    assert inspect.cleandoc(EVERY[words].help).partition("\n")[0].endswith(".")


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_says_what_it_is_for(words):
    for parameter in EVERY[words].params:
        if parameter.name != "help":
            assert parameter.help, f"{words}: {parameter.name}"


def test_version(itemlm):
    assert itemlm("--version").stdout == f"itemlm {__import__('itemlm').__version__}\n"


def test_without_a_command_the_help_is_shown(itemlm):
    shown = itemlm(exit_code=2).output
    places = [shown.index(f"│ {name} ") for name in ORDER]
    assert places == sorted(places)


def imported_by(*arguments: str) -> set[str]:
    """The packages that are imported when a command has run, in a process of its own."""
    program = (
        "import sys; from itemlm.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print('\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
    )
    return {line.partition(".")[0] for line in done.stdout.splitlines()}


def test_help_imports_neither_data_libraries_nor_torch():
    assert not imported_by("--help") & {"numpy", "polars", "pydantic", "torch"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("papers",),
        ("papers", "sasrec"),
        ("data", "list"),
        ("compare", "popularity", "itemknn", "--data"),
    ],
    ids=" ".join,
)
def test_torch_is_not_imported_where_it_is_not_needed(arguments, data):
    folder = (str(data),) if arguments[-1] == "--data" else ()
    assert "torch" not in imported_by(*arguments, *folder)


def completed(line: str) -> list[str]:
    """What bash would be offered after these words."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_ITEMLM_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([COMMAND], env=environment, capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_papers_and_datasets_are_completed():
    assert completed("itemlm fit sas") == ["sasrec"]
    assert completed("itemlm fit sasrec --data ml-1") == ["ml-100k", "ml-1m"]
    assert completed("itemlm eval") == ["evaluate"]
    assert itemlm.papers.names()[0] in completed("itemlm compare ")
