"""The index study: which orders are the same, and what goes to the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "bench" / "studies"))
import index_study as study


def test_differences_are_paired():
    # b finds what a finds and one in four more, c finds something else than a as often.
    a_Q = np.tile([1.0, 0, 0, 0], 100)
    b_Q = np.tile([1.0, 1, 0, 0], 100)
    c_Q = np.tile([0.0, 0, 1, 0], 100)
    ab, ac, bc = study.differences({"a": a_Q, "b": b_Q, "c": c_Q})
    assert (ab["one"], ab["two"], ab["mean"]) == ("a", "b", -0.25)
    assert ab["high"] < 0
    assert ac["mean"] == 0
    assert ac["low"] < 0 < ac["high"]
    assert bc["mean"] == pytest.approx(0.25)


def test_orders_are_the_same_another_or_open():
    published = {"low": 0.1, "middle": 0.2, "high": 0.3}
    found = [
        {"one": "low", "two": "middle", "mean": -0.1, "low": -0.2, "high": -0.05},
        {"one": "high", "two": "low", "mean": -0.1, "low": -0.2, "high": -0.05},
        {"one": "middle", "two": "high", "mean": 0.0, "low": -0.1, "high": 0.1},
        {"one": "middle", "two": "ours", "mean": 0.2, "low": 0.1, "high": 0.3},
    ]
    same, other, unsettled = study.orderings(found, published)
    assert same == [("middle", "low")]
    assert other == [("high", "low")]
    assert unsettled == [("high", "middle")]


def test_the_page_keeps_what_is_around_its_tables():
    text = f"before\n{study.BEGIN}\nold\n{study.END}\nafter\n"
    assert study.page(text, []) == text.replace("old", "Not measured yet.")


def test_the_page_is_what_the_cards_say():
    text = study.PAGE.read_text(encoding="utf-8")
    assert text == study.page(text, study.cards())


def test_a_folder_holds_one_study(tmp_path):
    study.check_same_settings(tmp_path / "s", {"epochs": 1})
    study.check_same_settings(tmp_path / "s", {"epochs": 1})
    with pytest.raises(SystemExit, match="other settings"):
        study.check_same_settings(tmp_path / "s", {"epochs": 2})


def test_one_index_is_measured_once(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    import itemlm

    small = itemlm.world(users=60, items=80, mean_history=8).dataset
    monkeypatch.setattr(itemlm, "load", lambda name: small)
    tiny = {
        "width": 8,
        "blocks": 1,
        "heads": 1,
        "head_width": 8,
        "inner": 8,
        "epochs": 1,
        "codes": 8,
    }
    names = ("random", "collaborative+independent")
    for name in (*names, "sequential_time"):
        study.measure("small", name, tiny, tmp_path / name)
        done = tmp_path / name / "result.json"
        written = done.stat().st_mtime_ns
        study.measure("small", name, tiny, tmp_path / name)
        assert done.stat().st_mtime_ns == written
    found = json.loads(json.dumps(study.card("small", tiny, tmp_path)))
    assert list(found["rows"]) == [*names, "sequential_time"]  # in the order of the paper
    tables = "\n".join(study.section(found))
    assert "| `collaborative+independent` | ." in tables
    assert "published" not in tables
    tables = "\n".join(study.section({**found, "data": study.PUBLISHED_ON}))
    assert "| RID | .0213 | .0178 | .0479 | .0277 |" in tables
    assert "Of the 1 pairs of published indexes" in tables
