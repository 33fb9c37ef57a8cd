"""`itemlm ab`: what a service logged, side by side."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.serve.store import EventRow, Recommendation, Shown, open_store

DAY = 86_400_000_000
START = 1_767_225_600_000_000  # 2026-01-01


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """600 people, two slates of two items each, in the experiment "front" and before it.

    Of items 1, 2 and 3 two are shown by chance, and item 3 is clicked whenever it comes first.
    Group b is also clicked by one in three besides.
    """
    path = tmp_path_factory.mktemp("log") / "service.db"
    rng = np.random.default_rng(0)
    answers, clicks = [], []
    for person in range(600):
        group = "ab"[person % 2]
        for visit in range(2):
            name, at = f"r{person}-{visit}", START + visit * DAY
            first, second, _ = rng.permutation([1, 2, 3]).tolist()
            items = [Shown(str(first), 1, 1.0, 1 / 3), Shown(str(second), 2, 1.0, 1 / 2)]
            experiment, shown_to = ("front", group) if visit else (None, None)
            who, model = (f"u{person}", None), f"m{group}"
            place = (model, "model", None, experiment, shown_to, "{}", ["1"], items)
            answers.append(Recommendation(name, at, *who, *place))
            if first == 3 or (group == "b" and rng.random() < 1 / 3):
                kind = "click" if person % 4 < 2 else "play"
                clicks.append(EventRow(name, *who, str(first), kind, at + 5, None, name))
    with_store = open_store(path)
    with_store.log_recommendations(answers)
    with_store.add_events(clicks)
    with_store.close()
    return path


KINDS = ("--kind", "click", "--kind", "play")


def test_an_experiment_is_compared_by_its_groups(log, itemlm):
    said = itemlm("ab", log, "--experiment", "front", *KINDS).stdout
    assert "b is clicked more than a: +" in said
    assert "click-through rate" in said
    assert "Nothing was logged that counts for the conversion rate." in said
    assert "mismatch" not in said
    # One in three, and in b one in three of the rest besides.
    assert "300" in said


def test_two_models_are_compared_as_used(log, itemlm_json):
    found = itemlm_json("ab", log, *KINDS)["comparison"]
    assert (found["a"]["name"], found["b"]["name"]) == ("ma", "mb")
    assert found["a"]["slates"] == 600
    assert found["ratio"] is None
    assert "as they were used" in found["cautions"][0]
    difference = found["differences"]["click-through rate"]["estimate"]
    assert difference["low"] < 2 / 3 * 1 / 3 < difference["high"]
    turned = itemlm_json("ab", log, "--a", "mb", "--b", "ma", *KINDS)["comparison"]
    assert turned["differences"]["click-through rate"]["estimate"]["mean"] == -difference["mean"]


def test_kinds_days_and_planned_shares(log, itemlm_json):
    clicks = itemlm_json("ab", log, "--kind", "click")["comparison"]["a"]["clicks"]
    plays = itemlm_json("ab", log, "--kind", "play")["comparison"]["a"]["clicks"]
    both = itemlm_json("ab", log, *KINDS)["comparison"]["a"]["clicks"]
    assert clicks + plays == both
    assert itemlm_json("ab", log)["comparison"]["a"]["clicks"] == clicks  # click and view
    assert itemlm_json("ab", log, "--since", "2026-01-02")["comparison"]["a"]["slates"] == 300
    planned = ("--experiment", "front", "--planned", "90:10")
    found = itemlm_json("ab", log, *planned)["comparison"]
    assert found["ratio"]["mismatch"]
    assert found["cautions"][0].startswith("Sample ratio mismatch: 300 and 300 people")


@pytest.fixture
def model(itemlm, tmp_path):
    """A recommender that shows item 3 first to everybody: popularity, who has seen item 1."""
    events = "".join(f"u{u},{item}\n" for u, item in [*((u, 3) for u in range(9)), (0, 2), (1, 1)])
    (tmp_path / "log.csv").write_text("user,item\n" + events)
    itemlm("fit", "popularity", "--data", "log.csv", "--out", tmp_path / "popular")
    return tmp_path / "popular"


def test_a_model_that_was_never_shown(log, model, itemlm, itemlm_json):
    asked = ("ab", log, "--model-folder", model, *KINDS)
    found = itemlm_json(*asked)
    assert "comparison" not in found
    other = found["other_model"]
    # It ranks 3 before 2 (item 1 is in the history). So 3 comes first, which is always clicked, and
    # nobody clicks a second place: (1 + 0) / 2 per place.
    for estimate in other["estimates"].values():
        assert estimate["reward"]["mean"] == pytest.approx(0.5, abs=0.06)
    assert other["logged"]["reward"]["mean"] < 0.3
    result = itemlm(*asked)
    assert "popular, SNIPS" in result.stdout
    assert "as logged" in result.stdout
    assert "after those above it as logged" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--experiment", "fron"), "no experiment in this log 'fron'. Did you mean 'front'?"),
        (("--a", "ma", "--b", "mc"), "no model in this log 'mc'"),
        (("--experiment", "front", "--planned", "half"), "'half' is not a pair of shares"),
        (("--since", "2027-01-01"), "holds no slate that was shown since 2027-01-01"),
    ],
)
def test_what_is_not_in_the_log(arguments, words, log, itemlm):
    assert words in itemlm("ab", log, *arguments, exit_code=1).stderr


def test_stores_that_are_not_there(itemlm, tmp_path):
    assert "there is no file nothing.db" in itemlm("ab", "nothing.db", exit_code=1).stderr
    assert "does not name a store" in itemlm("ab", "mysql://x/y", exit_code=1).stderr
    assert not list(tmp_path.iterdir())


def test_one_name_is_not_enough(log, itemlm):
    assert "--a and --b go together" in itemlm("ab", log, "--a", "ma", exit_code=2).stderr
