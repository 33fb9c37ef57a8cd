"""`itemlm evaluate` and `itemlm compare`: figures, warnings and files."""

from __future__ import annotations

import json

import pytest


def fit(itemlm, data, out, *more):
    itemlm("fit", "itemknn", "--data", data, "--out", out, *more)


def test_evaluate_prints_a_table_and_writes_a_page(itemlm, data, tmp_path):
    fit(itemlm, data, "honest", "--protocol", "leave-one-out")
    result = itemlm("evaluate", "honest", "--data", data, "--html", "page.html")
    assert "honest" in result.stdout
    assert "N@10" in result.stdout
    assert "warning" not in result.stderr
    assert "<html" in (tmp_path / "page.html").read_text()


def test_evaluate_warns_if_the_answers_may_have_been_seen(itemlm, data, fitted):
    result = itemlm("evaluate", fitted, "--data", data, "--json")
    assert "warning: 'itemknn' may have seen the answers" in result.stderr
    json.loads(result.stdout)


def test_having_seen_the_answers_helps_and_the_warning_is_due(itemlm, itemlm_json, data, fitted):
    fit(itemlm, data, "honest", "--protocol", "leave-one-out")
    report = itemlm_json("evaluate", "honest", fitted, "--data", data)
    honest, seen = (result["metrics"]["NDCG@10"]["mean"] for result in report["results"])
    assert seen > honest


@pytest.mark.parametrize("protocol", ["leave-one-out", "temporal", "user-holdout", "cold-items"])
@pytest.mark.parametrize("part", ["test", "validation"])
def test_every_protocol_and_part_can_be_asked(protocol, part, itemlm, itemlm_json, data):
    fit(itemlm, data, "model", "--protocol", protocol)
    asked = ("--protocol", protocol, "--part", part)
    conditions = itemlm_json("evaluate", "model", "--data", data, *asked)["conditions"]
    assert conditions["part"] == part
    words = {"temporal": "global temporal", "user-holdout": "user hold-out"}
    assert conditions["split"].startswith(words.get(protocol, "leave-one-out"))


def test_ties_can_be_left_in_the_order_of_the_file(itemlm, itemlm_json, data):
    fit(itemlm, data, "model", "--protocol", "leave-one-out", "--ties", "as-given")
    report = itemlm_json("evaluate", "model", "--data", data, "--ties", "as-given")
    assert report["conditions"]["split"].endswith("ties in the order given")


def test_models_of_one_name_are_told_apart_by_their_path(itemlm, itemlm_json, data):
    for out in ("a/model", "b/model"):
        fit(itemlm, data, out, "--protocol", "leave-one-out")
    report = itemlm_json("evaluate", "a/model", "b/model", "--data", data)
    assert [result["name"] for result in report["results"]] == ["a/model", "b/model"]


def test_a_model_of_another_catalog_cannot_be_asked(itemlm, fitted, tmp_path):
    (tmp_path / "log.csv").write_text("user,item\n" + "a,1\na,2\na,3\nb,1\nb,2\nb,3\n")
    result = itemlm("evaluate", fitted, "--data", "log.csv", exit_code=1)
    assert "'itemknn' knows another catalog (80 items) than 'log' (3 items)" in result.stderr


def test_compare_fits_reports_and_keeps_everything(itemlm, data, tmp_path):
    result = itemlm("compare", "popularity", "itemknn", "--data", data)
    assert "fitting itemknn" in result.stderr
    assert (
        "Worse" in result.stdout or "Better" in result.stdout or "Not told apart" in result.stdout
    )
    folder = tmp_path / "reports" / "small-leave-one-out"
    assert {"report.json", "report.html", "runs"} <= {path.name for path in folder.iterdir()}
    # What was fitted there has not seen the answers.
    runs = ("reports/small-leave-one-out/runs/itemknn-seed0",)
    assert "warning" not in itemlm("evaluate", *runs, "--data", data).stderr


def test_compare_with_settings_labels_and_seeds(itemlm_json, data, tiny_sasrec):
    settings = [f"sasrec.{word}" if "=" in word else word for word in tiny_sasrec]
    models = ("itemknn", "itemknn:near", "sasrec")
    more = ("--set", "itemknn:near.window=1", "--seeds", "2", "--folder", "here")
    report = itemlm_json("compare", *models, "--data", data, *settings, *more)
    results = {result["name"]: result for result in report["results"]}
    assert results["sasrec"]["seeds"] == 2
    assert results["itemknn"]["seeds"] == 1
    assert results["itemknn"]["lists_fingerprint"] != results["itemknn:near"]["lists_fingerprint"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("window=3", "write it as itemknn.window=..."),
        ("itemkn.window=3", "no paper in this comparison 'itemkn'. Did you mean 'itemknn'?"),
        ("itemknn.windw=3", "no setting 'windw'. Did you mean 'window'?"),
    ],
)
def test_settings_of_nobody_are_refused(setting, words, itemlm, data):
    result = itemlm("compare", "itemknn", "--data", data, "--set", setting, exit_code=1)
    assert words in result.stderr
