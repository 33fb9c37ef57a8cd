"""`itemlm fit`: learn from data, and keep the recommender."""

from __future__ import annotations

from itemlm import load_recommender
from itemlm.data.dataset import Dataset
from itemlm.data.splits import LeaveOneOut


def test_fit_saves_a_recommender_and_says_how_to_ask_it(itemlm, data):
    result = itemlm("fit", "itemknn", "--data", data)
    assert "runs/itemknn-small-seed0" in result.stdout
    example = result.stderr.strip().partition("Next: itemlm ")[2]
    assert "title" in itemlm(*example.split()).stdout


def test_fit_reads_event_files(itemlm, tmp_path):
    (tmp_path / "log.csv").write_text("user,item\na,1\na,2\nb,2\nb,3\n")
    itemlm("fit", "popularity", "--data", "log.csv", "--out", "model")
    assert len(load_recommender(tmp_path / "model").catalog) == 3


def test_settings_are_set(itemlm, data, tmp_path):
    itemlm(
        "fit", "itemknn", "--data", data, "--out", "x", "--set", "last=3", "--set", "window=none"
    )
    config = load_recommender(tmp_path / "x").config
    assert (config.last, config.window) == (3, None)


def test_a_setting_of_another_type_is_refused(itemlm, data):
    result = itemlm("fit", "itemknn", "--data", data, "--set", "last=many", exit_code=1)
    assert "setting 'last' is 'many'" in result.stderr


def test_fit_on_the_training_part_only(itemlm, data, tmp_path):
    itemlm("fit", "popularity", "--data", data, "--protocol", "leave-one-out", "--out", "x")
    train = Dataset.load(data).split(LeaveOneOut()).train
    assert load_recommender(tmp_path / "x").card["data fingerprint"] == train.fingerprint


def test_a_trained_paper_tells_its_best_epoch_and_refits(itemlm, data, tiny_sasrec):
    result = itemlm("fit", "sasrec", "--data", data, *tiny_sasrec, "--refit", "--seed", "1")
    assert "best epoch" in result.stdout
    assert "runs/sasrec-small-seed1" in result.stdout
    once_more = itemlm("fit", "sasrec", "--data", data, *tiny_sasrec, "--seed", "1")
    assert "holds this run already" in once_more.stderr
