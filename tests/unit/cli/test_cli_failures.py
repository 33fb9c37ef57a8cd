"""What people see when something goes wrong, and what shells see: the exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import itemlm as package

COMMAND = Path(sys.executable).with_name("itemlm")


def test_a_mistake_is_told_in_one_line_with_exit_code_1(itemlm):
    result = itemlm("fit", "sasrek", "--data", "demo", exit_code=1)
    assert result.stderr.startswith("error: There is no paper 'sasrek'. Did you mean 'sasrec'?")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "popularity", "--data", "ml-10k"), "no dataset 'ml-10k'. Did you mean 'ml-100k'?"),
        (("fit", "popularity", "--data", "none.csv"), "there is no file none.csv"),
        (("fit", "popularity", "--data", "."), "is not a saved dataset"),
        (("recommend", "nowhere"), "nowhere is not a saved recommender"),
        (("data", "download", "ml-10k"), "Did you mean 'ml-100k'?"),
        (("papers", "sasrek"), "Did you mean 'sasrec'?"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_unknown_names_get_the_nearest_valid_one(arguments, words, itemlm):
    assert words in itemlm(*arguments, exit_code=1).stderr


def test_unknown_settings_get_the_nearest_valid_one(itemlm, data):
    result = itemlm("fit", "itemknn", "--data", data, "--set", "windw=3", exit_code=1)
    assert "no setting 'windw'. Did you mean 'window'?" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fti",), "Did you mean 'fit'?"),
        (("data", "descrbe"), "Did you mean 'describe'?"),
        (("fit", "sasrec"), "Missing option '--data'"),
        (("fit", "sasrec", "--dta", "demo"), "No such option"),
        (("evaluate", "x", "--data", "demo", "--protocol", "random"), "leave-one-out"),
        (("compare", "sasrec", "--data", "demo", "--seeds", "0"), "--seeds"),
        (("recommend", "x", "--user", "u"), "--user and --data go together"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_a_command_line_that_cannot_be_understood_has_exit_code_2(arguments, words, itemlm):
    assert words in itemlm(*arguments, exit_code=2).stderr


def test_a_folder_that_cannot_be_written_is_no_bug(itemlm, data, tmp_path):
    (tmp_path / "file").write_text("")
    result = itemlm("data", "prepare", data, "--out", "file/x", exit_code=1)
    assert result.stderr.splitlines()[-1].startswith("error: file")
    assert "Traceback" not in result.stderr


def test_debug_shows_where_a_mistake_was_found(itemlm):
    result = itemlm("--debug", "papers", "sasrek", exit_code=1)
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: There is no paper")


def test_a_bug_shows_its_traceback_and_asks_for_a_report(itemlm, data, monkeypatch):
    monkeypatch.setattr(package, "fit", lambda *_, **__: 1 / 0)
    result = itemlm("fit", "itemknn", "--data", data, exit_code=1)
    assert "ZeroDivisionError" in result.stderr
    assert "Please report it" in result.stderr.splitlines()[-1]


def test_an_interrupted_command_has_exit_code_130(itemlm, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("itemlm.cli.papers._list", interrupted)
    assert "interrupted" in itemlm("papers", exit_code=130).stderr


def test_an_interrupted_fit_says_how_to_go_on_and_does(data, tmp_path):
    pytest.importorskip("torch")
    command = [COMMAND, "fit", "sasrec", "--data", data, "--out", "run"]
    settings = ["width=8", "blocks=1", "inner=8", "epochs=400", "patience=400"]
    command += [word for setting in settings for word in ("--set", setting)]
    started = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    losses = tmp_path / "run" / "losses.jsonl"
    for _ in range(600):
        if losses.exists():
            break
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=30)
    assert started.returncode == 130
    assert "Give the same command again to go on." in errors.splitlines()[-1]

    again = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert again.stderr is not None
    said = [again.stderr.readline() for _ in range(2)]
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=30)
    assert "run holds this run already: going on where it ended." in said[0]
    assert said[1].startswith("resuming after epoch")
