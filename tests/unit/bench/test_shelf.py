"""The shelf study: budgets that papers know, and a table that says what was measured."""

import json
import sys
from pathlib import Path

import pytest

from itemlm import papers
from itemlm.fitting import configured

sys.path.insert(0, str(Path(__file__).parents[3] / "bench" / "studies"))
import shelf


def test_every_generative_paper_is_on_it_with_settings_that_it_knows():
    pytest.importorskip("torch")
    known = {name.partition(":")[0] for name in shelf.BUDGETS}
    generative = {path.stem for path in Path(papers.__file__).parent.glob("generative/[a-z]*.py")}
    assert generative <= known
    for name in shelf.BUDGETS:
        configured(papers.get(name.partition(":")[0]), None, shelf.settings_of(name, "lsa"))


def test_texts_are_encoded_for_those_who_take_them():
    pytest.importorskip("torch")
    assert shelf.settings_of("duet", "file.npy") == {"encoder": "file.npy"}
    assert shelf.settings_of("sasrec", "file.npy") == {}


def row(mean, minus):
    """What the study keeps of one system."""
    around = {"mean": mean, "low": mean - 0.002, "high": mean + 0.002}
    difference = {"mean": minus, "low": minus - 0.001, "high": minus + 0.001}
    return {
        "metrics": dict.fromkeys(("R@5", "N@5", "R@10", "N@10"), around),
        "minus baseline": difference if minus else None,
        "parameters": 1200,
        "fit seconds": 61.7,
        "ms for 1": 1.26,
        "ms for 64": 20.0,
    }


CARD = {"data": "demo", "rows": {"sasrec": row(0.05, 0), "duet": row(0.0625, 0.0125)}}


def test_the_best_stand_first():
    head, line, first, second = shelf.table(CARD)
    assert head.startswith("| model | R@5 | N@5 | R@10 | N@10 | N@10 minus sasrec |")
    assert line.count("---") == head.count(" | ") + 1
    assert first == (
        "| duet | .0625 ± .0020 | .0625 ± .0020 | .0625 ± .0020 | .0625 ± .0020 "
        "| +.0125 [+.0115, +.0135] | 1,200 | 62 | 1.3 | 20.0 |"
    )
    assert second.startswith("| sasrec | .0500 ± .0020")
    assert "| – | 1,200" in second


def test_only_what_stands_between_the_marks_is_written_anew():
    text = "before\n<!-- shelf demo: begin -->\nold\n<!-- shelf demo: end -->\nafter\n"
    made = shelf.page(text, CARD)
    assert made.startswith("before\n<!-- shelf demo: begin -->\n| model")
    assert made.endswith("<!-- shelf demo: end -->\nafter\n")
    assert "old" not in made
    assert shelf.page(made, CARD) == made
    with pytest.raises(SystemExit, match="has no marks"):
        shelf.page("before", CARD)


def test_a_part_of_the_shelf_leaves_the_other_rows(monkeypatch, tmp_path):
    monkeypatch.setattr(shelf, "RESULTS", tmp_path)
    monkeypatch.setattr(shelf, "PAGE", tmp_path / "page.md")
    shelf.PAGE.write_text("<!-- shelf demo: begin -->\n<!-- shelf demo: end -->\n")
    for names in (["sasrec", "duet"], ["duet", "sasrec"], ["apao", "sasrec"]):
        made = {name: row(0.05, 0.0) for name in names}
        monkeypatch.setattr(shelf, "study", lambda *_, rows=made: {"data": "demo", "rows": rows})
        monkeypatch.setattr(sys, "argv", ["shelf.py", "--data", "demo", "--only", *names])
        shelf.main()
    rows = json.loads((tmp_path / "shelf-demo.json").read_text())["rows"]
    assert set(rows) == {"sasrec", "duet", "apao"}
    assert shelf.PAGE.read_text().count("| apao |") == 1
