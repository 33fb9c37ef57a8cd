"""`itemlm recommend`: ask a saved recommender."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from itemlm import load_recommender

# Nine users who agree: whoever took 1 and 2 takes 3 next.
EVENTS = "user,item\n" + "".join(f"u{u},{i}\n" for u in range(9) for i in (1, 2, 3))
ITEMS = "item,title,genres,year\n1,One,drama,1990\n2,Two,drama|war,1991\n3,Three,war,\n4,,farce,\n"


@pytest.fixture
def model(itemlm, tmp_path):
    """ItemKNN of the users who agree."""
    (tmp_path / "log.csv").write_text(EVENTS)
    (tmp_path / "items.csv").write_text(ITEMS)
    itemlm("data", "prepare", "log.csv", "--items", "items.csv", "--out", "agreed")
    itemlm("fit", "itemknn", "--data", "agreed", "--out", "model")
    return "model"


def asked(itemlm_json, *arguments):
    """The ids that are recommended."""
    return [item["item_id"] for item in itemlm_json("recommend", *arguments)["items"]]


def test_recommend_prints_titles_or_ids_where_there_are_none(itemlm, model):
    rows = itemlm("recommend", model, "--history", "1,2").stdout.splitlines()
    places = [row.split()[:3] for row in rows if row[:2].strip().isdigit()]
    assert places == [["1", "Three", "3"], ["2", "4", "4"]]


def test_recommend_answers_a_history_a_user_and_a_stranger(itemlm_json, model):
    assert asked(itemlm_json, model, "--history", "1, 2") == [3, 4]
    assert asked(itemlm_json, model, "--user", "u0", "--data", "agreed") == [4]
    assert sorted(asked(itemlm_json, model)) == [1, 2, 3, 4]


def test_recommend_as_many_as_asked_for(itemlm, itemlm_json, model):
    assert asked(itemlm_json, model, "--history", "1", "-k", "1") == [2]
    assert "Only 2 of 5 places" in itemlm("recommend", model, "--history", "1,2", "-k", "5").stderr


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        (("--only", "genres=drama"), {1, 2}),
        (("--only", "genres=drama", "--only", "genres=farce"), {1, 2, 4}),  # either
        (("--only", "genres=drama", "--only", "year=1991"), {2}),  # both
        (("--without", "genres=war"), {1, 4}),
        (("--without", "genres=war", "--without", "title=One"), {4}),  # neither
        (("--only", "genres=drama", "--without", "genres=war"), {1}),
    ],
)
def test_recommend_filters_by_catalog_columns(conditions, left, itemlm_json, model):
    assert set(asked(itemlm_json, model, *conditions)) == left


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--history", "one"), "knows no item 'one'."),
        (("--only", "genre=war"), "no catalog column 'genre'. Did you mean 'genres'?"),
        (("--only", "genres=dramas"), "no item has genres=dramas. Did you mean 'drama'?"),
        (("--only", "genres"), "write it as column=value"),
        (("--user", "u10", "--data", "agreed"), "user 'u10' is not in 'agreed'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_recommend_explains_what_it_does_not_know(arguments, words, itemlm, model):
    assert words in itemlm("recommend", model, *arguments, exit_code=1).stderr


def test_unknown_items_are_left_out_if_others_are_known(itemlm, model):
    result = itemlm("recommend", model, "--history", "1,77", "--json")
    assert "knows no item '77'" in result.stderr
    assert json.loads(result.stdout)["history"] == [1]


def test_a_misspelt_item_gets_the_nearest(itemlm, fitted):
    name = load_recommender(fitted).catalog.items.ids[0]
    result = itemlm("recommend", fitted, "--history", name[:-1] + "x", exit_code=1)
    assert f"Did you mean '{name}'?" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--history", "1", "--user", "u0", "--data", "agreed"), "not more than one"),
        (("--all", "--user", "u0", "--data", "agreed", "-o", "all.csv"), "not more than one"),
        (("--all", "--data", "agreed"), "--all and --out go together"),
        (("--out", "all.csv"), "--all and --out go together"),
        (("--all", "-o", "all.csv"), "--all needs --data"),
        (("--data", "agreed"), "--user and --data go together"),
    ],
)
def test_what_goes_together_and_what_does_not(arguments, words, itemlm, model):
    assert words in itemlm("recommend", model, *arguments, exit_code=2).stderr


def test_recommend_to_everyone(itemlm, itemlm_json, model):
    everyone = ("recommend", model, "--all", "--data", "agreed", "-k", "1", "-o", "all.csv")
    said = itemlm(*everyone).stdout
    assert "Wrote 9 recommendations to 9 users into all.csv" in said
    lines = Path("all.csv").read_text().splitlines()
    assert lines[0] == "user_id,place,item_id,score"
    assert [line.split(",")[:3] for line in lines[1:]] == [[f"u{u}", "1", "4"] for u in range(9)]
    # Item 4 is the only farce, and all have seen the others.
    without = itemlm(*everyone, "--without", "genres=farce", "--json")
    assert json.loads(without.stdout)["short"] == 9
    assert "9 users got fewer than 1 items" in without.stderr
    assert itemlm_json(*everyone, "--only", "genres=farce")["rows"] == 9


def test_strangers_among_everyone_are_told(itemlm, model):
    Path("others.csv").write_text("user,item\nann,1\nbob,77\n")
    result = itemlm("recommend", model, "--all", "--data", "others.csv", "-o", "all.csv")
    assert "of 1 users' histories the recommender knows no item" in result.stderr
