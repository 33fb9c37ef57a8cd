"""What became of slates, by hand."""

from __future__ import annotations

import polars as pl
import pytest

from itemlm.policy.outcomes import item_results, slate_results
from itemlm.types import DataError

SHOWN = pl.DataFrame(
    {
        "recommendation_id": ["r1", "r1", "r1", "r2", "r2", "r3", "r4"],
        "at": [1, 1, 1, 2, 2, 3, 4],
        "person": ["ann", "ann", "ann", "bob", "bob", None, None],
        "model": "sasrec",
        "experiment": ["x", "x", "x", "x", "x", None, None],
        "group": ["a", "a", "a", "b", "b", None, None],
        "item_id": ["i", "j", "k", "i", "j", "i", "i"],
        "place": [1, 2, 3, 1, 2, 1, 1],
        "score": 1.0,
        "propensity": [0.5, 0.5, 1.0, None, None, None, None],
    }
)
OUTCOMES = pl.DataFrame(
    [
        ("r1", "k", "click", None),
        ("r1", "j", "click", None),
        ("r1", "j", "click", None),  # again: no second success
        ("r1", "j", "purchase", 9.5),
        ("r1", "k", "purchase", 2.0),
        ("r1", "k", "rating", 5.0),  # its value is no money
        ("r2", "k", "click", None),  # was not in this slate
        ("r9", "i", "click", None),  # no such slate
        ("r3", "i", "view", None),
    ],
    schema=["recommendation_id", "item_id", "kind", "value"],
    orient="row",
)


def test_slates_by_hand() -> None:
    slates = slate_results(item_results(SHOWN, OUTCOMES))
    columns = ["items", "clicked", "clicked_items", "first_place", "converted", "value"]
    assert slates["recommendation_id"].to_list() == ["r1", "r2", "r3", "r4"]
    assert slates.select(columns).rows() == [
        (3, True, 2, 2, True, 11.5),
        (2, False, 0, None, False, 0.0),
        (1, True, 1, 1, False, 0.0),
        (1, False, 0, None, False, 0.0),
    ]
    assert slates["group"].to_list() == ["a", "b", None, None]


def test_kinds_are_what_the_caller_says() -> None:
    items = item_results(SHOWN, OUTCOMES, clicks=["rating"], conversions=["click"])
    slates = slate_results(items)
    assert slates["clicked"].to_list() == [True, False, False, False]
    assert slates["first_place"][0] == 3
    assert slates["converted"].to_list() == [True, False, False, False]


def test_unknown_people_stand_for_one_each() -> None:
    unit = slate_results(item_results(SHOWN, OUTCOMES))["unit"]
    assert sorted(unit.to_list()) == [0, 1, 2, 3]
    known = SHOWN.with_columns(person=pl.lit("ann"))
    assert slate_results(item_results(known, OUTCOMES))["unit"].unique().to_list() == [0]
    # A person called like a slate is somebody else.
    named = SHOWN.with_columns(person=pl.col("person").replace("ann", "r3"))
    assert slate_results(item_results(named, OUTCOMES))["unit"].n_unique() == 4


def test_a_log_without_outcomes() -> None:
    nothing = pl.DataFrame(schema=OUTCOMES.schema)
    assert not item_results(SHOWN, nothing)["clicked"].any()
    assert item_results(SHOWN.clear(), nothing).height == 0


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="what was shown lacks model, group; it has"):
        item_results(SHOWN.drop("model", "group"), OUTCOMES)
    with pytest.raises(DataError, match="outcomes lacks kind"):
        item_results(SHOWN, OUTCOMES.drop("kind"))
    with pytest.raises(DataError, match="'i' has more than one place in the slate 'r1'"):
        item_results(pl.concat([SHOWN, SHOWN.head(1)]), OUTCOMES)
