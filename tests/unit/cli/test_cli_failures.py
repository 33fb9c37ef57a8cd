"""What people see when something goes wrong, and what shells see: the exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest

import itemlm as package


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


def test_an_interrupted_command_has_exit_code_130():
    program = (
        "import os, signal; from itemlm.cli import main, papers\n"
        "papers._list = lambda json: os.kill(os.getpid(), signal.SIGINT)\n"
        "main()"
    )
    command = [sys.executable, "-c", program, "papers"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "interrupted: nothing was kept.\n"


def test_an_interrupted_fit_says_how_to_go_on_and_does(data, tiny_sasrec, itemlm, monkeypatch):
    from itemlm.train.progress import TrainingDisplay

    fit = ["fit", "sasrec", "--data", data, "--out", "run", *tiny_sasrec]
    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "epoch", interrupt)
        interrupted = itemlm(*fit, exit_code=130)
    assert interrupted.stderr.splitlines()[-1] == (
        "interrupted: finished work is kept in run. Give the same command again to go on."
    )
    resumed = itemlm(*fit).stderr
    assert "run holds this run already: going on where it ended." in resumed
    assert "resuming after epoch 1" in resumed
    assert "epoch   1" not in resumed
    assert "epoch   2" in resumed


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
