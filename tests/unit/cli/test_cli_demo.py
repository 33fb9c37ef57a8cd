"""`itemlm demo`: the whole way, small."""

from __future__ import annotations

import json

import pytest

from itemlm.cli import demo

SMALL = ("demo", "--quick", "--users", "60")


def test_the_demo_describes_fits_compares_and_shows(itemlm, tmp_path):
    result = itemlm(*SMALL, "--models", "popularity", "--models", "itemknn", "--folder", "out")
    shown = result.stdout
    assert "60 simulated viewers" in shown
    assert "best" in shown  # the share of the oracle
    assert "viewer-01 watched last" in shown
    assert "would have shown" in shown
    assert "itemlm data prepare events.csv" in shown
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["conditions"]["oracle"] == "oracle"
    by_name = {result["name"]: result for result in report["results"]}
    assert 0 < by_name["itemknn"]["of_oracle"]["NDCG@10"] < 1
    assert "<html" in (tmp_path / "out" / "report.html").read_text()
    ask = next(line for line in shown.splitlines() if "Ask a model" in line)
    assert "title" in itemlm(*ask.partition("itemlm ")[2].split()).stdout


def test_a_second_demo_in_the_same_folder_starts_anew_or_goes_on(itemlm, tiny_sasrec, monkeypatch):
    monkeypatch.setattr(demo, "QUICK_SETTINGS", {"sasrec": {"width": 8, "blocks": 1, "epochs": 1}})
    sasrec = (*SMALL, "--models", "sasrec")
    first = itemlm(*sasrec)
    assert "fitting sasrec, seed 0" in first.stderr
    assert "epoch   1" in first.stderr
    assert "epoch   1" not in itemlm(*sasrec).stderr  # done already
    assert "epoch   1" in itemlm(*sasrec, "--users", "70").stderr  # another world


def test_without_torch_the_classics_are_fitted_and_the_rest_is_explained(itemlm, monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    result = itemlm(*SMALL)
    assert "sasrec and tiger" in result.stderr
    assert "pip install 'itemlm[torch]'" in result.stderr
    assert "fitting itemknn" in result.stderr
    assert "fitting sasrec" not in result.stderr
    refused = itemlm(*SMALL, "--models", "sasrec", exit_code=1)
    assert "pip install 'itemlm[torch]'" in refused.stderr


@pytest.mark.parametrize("settings", [demo.SETTINGS, demo.QUICK_SETTINGS])
def test_the_settings_of_the_demo_exist(settings):
    pytest.importorskip("torch")
    from itemlm import papers
    from itemlm.config import from_mapping

    for name, values in settings.items():
        from_mapping(papers.get(name).Config, values)
