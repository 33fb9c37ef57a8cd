"""Fixtures of the command's tests: the command itself, and a world of 60 viewers as a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from itemlm.cli import app
from itemlm.data.world import world


@pytest.fixture
def tiny_sasrec() -> list[str]:
    """Settings with which SASRec fits the small world in a second; skips without PyTorch."""
    pytest.importorskip("torch")
    settings = ("width=8", "blocks=1", "inner=8", "length=8", "epochs=2")
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def itemlm() -> Callable[..., Result]:
    """Run the command as a shell would: `itemlm("papers", "sasrec", exit_code=0)`."""

    def run(*arguments: object, exit_code: int = 0) -> Result:
        wide = {"COLUMNS": "120"}  # whatever the terminal of the tests
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=wide)
        assert result.exit_code == exit_code, result.output
        return result

    return run


@pytest.fixture(scope="session")
def itemlm_json(itemlm: Callable[..., Result]) -> Callable[..., Any]:
    """Run a command with --json and read its standard output, which must be JSON alone."""

    def run(*arguments: object) -> Any:
        return json.loads(itemlm(*arguments, "--json").stdout)

    return run


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved dataset: 60 viewers of 80 films."""
    folder = tmp_path_factory.mktemp("data") / "small"
    small = world(users=60, items=80, mean_history=8).dataset
    replace(small, name="small").save(folder)
    return folder


@pytest.fixture(scope="session")
def fitted(
    data: Path, itemlm: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A saved ItemKNN that has seen everything."""
    folder = tmp_path_factory.mktemp("fitted") / "itemknn"
    itemlm("fit", "itemknn", "--data", data, "--out", folder)
    return folder
