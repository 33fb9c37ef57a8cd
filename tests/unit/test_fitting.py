"""Fitting and comparing: what is recorded, refitted and refused."""

import json

import pytest

import itemlm
from itemlm.types import ConfigError, UnknownName

WORLD = itemlm.world(users=60, items=40)
DATA = WORLD.dataset
SMALL = {"width": 8, "blocks": 1, "inner": 8, "batch_size": 16, "epochs": 3, "length": 8}


def test_the_folder_says_what_was_fitted_and_refuses_anything_else(tmp_path):
    itemlm.fit("itemknn", DATA, folder=tmp_path)
    recorded = json.loads((tmp_path / "run.json").read_text())
    assert recorded["paper"] == "itemknn"
    assert recorded["data fingerprint"] == DATA.fingerprint
    with pytest.raises(ConfigError, match="paper was 'itemknn', is now 'ease'"):
        itemlm.fit("ease", DATA, folder=tmp_path)


def test_a_changed_title_is_another_experiment(tmp_path):
    itemlm.fit("itemknn", DATA, folder=tmp_path)
    retitled = itemlm.Dataset.build(
        DATA.events, DATA.catalog.with_columns(title=DATA.catalog["title"] + "!"), name="demo"
    )
    assert retitled.fingerprint == DATA.fingerprint
    with pytest.raises(ConfigError, match="catalog fingerprint was"):
        itemlm.fit("itemknn", retitled, folder=tmp_path)


def test_refit_learns_from_every_event(monkeypatch):
    pytest.importorskip("torch")
    from itemlm.papers.sequential import sasrec

    seen, fit = [], sasrec.fit

    def watched(dataset, config, run):
        seen.append((len(dataset.sequences.item_rows), config.epochs, run.validation is None))
        return fit(dataset, config, run)

    monkeypatch.setattr(sasrec, "fit", watched)
    model = itemlm.fit("sasrec", DATA, refit=True, quiet=True, device="cpu", **SMALL)
    best = max(model.card["history"], key=lambda record: record["validation NDCG@10"])["epoch"]
    events = len(DATA.sequences.item_rows)
    assert seen == [(events - 30, 3, False), (events, best, True)]  # half of 60 users held out


def test_refit_cannot_use_what_is_not_in_the_data():
    pytest.importorskip("torch")
    train, validation, _ = DATA.split(itemlm.LeaveOneOut())
    with pytest.raises(ConfigError, match="refit and validation exclude each other"):
        itemlm.fit("sasrec", train, validation=validation, refit=True)
    with pytest.raises(ConfigError, match="nothing to refit"):
        itemlm.fit("ease", DATA, refit=True)


def test_the_seconds_of_a_fit_count_its_stages(tmp_path):
    pytest.importorskip("torch")
    tiny = {**SMALL, "levels": 2, "codes": 4, "heads": 1, "head_width": 8, "epochs": 1}
    model = itemlm.fit("tiger", DATA, folder=tmp_path, quiet=True, device="cpu", **tiny)
    stages = [
        float((tmp_path / "stages" / f"{n}.seconds").read_text()) for n in ("vectors", "tokens")
    ]
    trained = model.card["history"][-1]["seconds"]
    assert model.card["fit seconds"] == pytest.approx(sum(stages) + trained)


def test_compare_refuses_names_that_mean_nothing():
    with pytest.raises(ConfigError, match="'itemknn:typo' has no settings"):
        itemlm.compare(["itemknn:typo"], DATA)
    with pytest.raises(ConfigError, match="'ease' knows no label"):
        itemlm.compare(["ease:published"], DATA)
    with pytest.raises(UnknownName, match="compared paper 'ease'"):
        itemlm.compare(["itemknn"], DATA, settings={"ease": {"l2": 1}})
    with pytest.raises(UnknownName, match="Did you mean 'window'"):
        itemlm.compare(["popularity", "itemknn"], DATA, settings={"itemknn": {"windw": 1}})


def test_labels_are_models_of_their_own():
    report = itemlm.compare(
        ["itemknn", "itemknn:near"],
        DATA,
        settings={"itemknn:near": {"last": 1}},
        oracle=WORLD.oracle,
    )
    assert [result.name for result in report.results] == ["itemknn", "itemknn:near", "oracle"]
    assert report["oracle"]["N@10"].mean > report["itemknn:near"]["N@10"].mean
