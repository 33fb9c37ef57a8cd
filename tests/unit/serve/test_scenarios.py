"""Scenarios: what a request sets wins over its scenario, which wins over the defaults."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import pytest

from itemlm.serve.rules.expressions import RuleError
from itemlm.serve.rules.scenarios import merged
from itemlm.serve.schemas import RecommendRequest, Shaping

FULL: dict[str, Any] = {
    "k": 3,
    "model": "first",
    "filter": "price < 50",
    "boost": [{"when": "year > 1990", "by": 2.0}],
    "pin": [{"item_id": "a", "place": 2}],
    "max_per": {"brand": 2},
    "exclude_seen": False,
    "diversity": 0.1,
    "novelty": 0.2,
    "explore": 0.3,
    "fields": ["title"],
    "explain": True,
}
OTHER: dict[str, Any] = {
    "k": 4,
    "model": "second",
    "boost": [],
    "pin": [],
    "max_per": {"genres": 1},
    "exclude_seen": True,
    "diversity": 0.0,
    "novelty": 0.0,
    "explore": 0.0,
    "fields": [],
    "explain": False,
}


def settings(request: dict[str, Any], scenario: dict[str, Any] | None = None) -> dict[str, Any]:
    """What holds, in the form in which it is sent."""
    made = merged(
        RecommendRequest.model_validate(request),
        None if scenario is None else Shaping.model_validate(scenario),
    )
    return asdict(made) | {
        "boost": [boost.model_dump() for boost in made.boost],
        "pin": [pin.model_dump() for pin in made.pin],
    }


def test_the_defaults() -> None:
    nothing: dict[str, Any] = {"model": None, "filter": None, "boost": [], "pin": [], "fields": []}
    dials = {"diversity": 0.0, "novelty": 0.0, "explore": 0.0}
    assert settings({}) == settings({}, {}) == {
        "k": 10, "exclude_seen": True, "explain": False, "max_per": {}, **nothing, **dials
    }  # fmt: skip


def test_every_setting_is_taken_over() -> None:
    assert set(FULL) == {field.name for field in fields(merged(RecommendRequest()))}
    assert settings({}, FULL) == FULL
    assert settings(FULL) == FULL


@pytest.mark.parametrize("name", OTHER)
def test_what_a_request_sets_wins_even_if_it_is_nothing_or_the_default(name: str) -> None:
    assert settings({name: OTHER[name]}, FULL) == FULL | {name: OTHER[name]}


@pytest.mark.parametrize("name", ["k", "model", "filter", "exclude_seen", "explore", "explain"])
def test_null_is_not_set(name: str) -> None:
    assert settings({name: None}, FULL) == FULL
    assert settings({}, {name: None}) == settings({})


def test_filters_add_up() -> None:
    made = settings(
        {"filter": "discount or year > 1990"}, {"filter": "price < 50 or brand is None"}
    )
    assert made["filter"] == "(price < 50 or brand is None) and (discount or year > 1990)"
    assert settings({"filter": "price < 50"})["filter"] == "price < 50"


def test_a_request_cannot_leave_the_filter_of_its_scenario() -> None:
    with pytest.raises(RuleError, match="cannot be read"):
        settings({"filter": "price < 5) or (price > 0"}, {"filter": "not adult"})
