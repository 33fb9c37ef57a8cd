"""`itemlm papers`: what the sources say, without importing them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from itemlm import papers
from itemlm.cli.paper_source import read


def test_every_paper_is_listed_with_its_idea_and_page(itemlm, itemlm_json):
    listed = itemlm_json("papers")
    assert [paper["name"] for paper in listed] == papers.names()
    by_name = {paper["name"]: paper for paper in listed}
    assert by_name["popularity"]["idea"].startswith("Popularity: ")
    assert by_name["sasrec"]["page"] == "docs/papers/sasrec.md"
    assert all(name in itemlm("papers").stdout for name in papers.names())


def test_whether_a_paper_needs_torch_is_read_rightly():
    needs = {path: read(name).needs_torch for name, path in papers.TABLE.items()}
    # In a process without torch, exactly those that need it cannot be imported.
    program = (
        "import sys, importlib; sys.modules['torch'] = None\n"
        "for path in sys.argv[1:]:\n"
        "    try: importlib.import_module(path)\n"
        "    except ImportError: print(path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *needs], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {path for path, needed in needs.items() if needed}


@pytest.mark.parametrize("name", papers.TABLE)
def test_settings_are_those_of_the_config(name):
    if read(name).needs_torch:
        pytest.importorskip("torch")
    config = papers.get(name).Config
    found = {setting.name: setting for setting in read(name).settings}
    assert list(found) == [field.name for field in fields(config)]
    assert {name: eval(setting.default) for name, setting in found.items()} == {
        field.name: field.default for field in fields(config)
    }


def test_published_settings_are_those_of_the_config():
    pytest.importorskip("torch")
    ours, theirs = papers.get("sasrec").Config(), papers.get("sasrec").Config.as_published()
    for setting in read("sasrec").settings:
        differs = getattr(ours, setting.name) != getattr(theirs, setting.name)
        assert (setting.published is not None) == differs
        if setting.published is not None:
            assert eval(setting.published) == getattr(theirs, setting.name)


def test_meanings_come_from_comments_and_from_docstrings():
    sasrec = {setting.name: setting for setting in read("sasrec").settings}
    assert sasrec["length"].meaning == "most recent events read"
    itemknn = {setting.name: setting for setting in read("itemknn").settings}
    assert itemknn["neighbors"].meaning == "most similar items kept for each item."
    assert itemknn["window"].meaning.endswith("do not matter.")  # it goes on over three lines
    assert itemknn["source_power"].meaning == itemknn["target_power"].meaning


def test_one_paper_is_shown_with_its_settings(itemlm, itemlm_json):
    shown = itemlm("papers", "itemknn").stdout
    assert "The idea    Count how often" in shown
    assert "itemlm fit itemknn --data demo --set window=10" in shown
    told = itemlm_json("papers", "itemknn")
    assert told["settings"][0] == {
        "name": "window",
        "kind": "int | None",
        "default": "10",
        "published": None,
        "meaning": read("itemknn").settings[0].meaning,
    }
