"""Popularity: counts, decayed counts, and the order that other models fall back on."""

from __future__ import annotations

import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.papers.collaborative.popularity import Config, below_evidence, fit, restore
from itemlm.recommender import Saved
from itemlm.types import ConfigError, DataError, Query

DAY = 86_400_000  # milliseconds
NO_RUN = None  # nothing is trained


def dataset_of(events, columns=("user_id", "item_id")):
    return Dataset.build(pl.DataFrame(events, schema=list(columns), orient="row"), name="tiny")


THREE_A_TWO_B_ONE_C = dataset_of(
    [("u1", "a"), ("u2", "a"), ("u3", "a"), ("u1", "b"), ("u2", "b"), ("u3", "c")]
)


def test_most_events_first_and_scores_are_counts():
    slate = fit(THREE_A_TWO_B_ONE_C, Config(), NO_RUN).recommend([])
    assert slate.items == ["a", "b", "c"]
    assert slate.scores == [3, 2, 1]


def test_what_was_seen_is_not_shown_again():
    model = fit(THREE_A_TWO_B_ONE_C, Config(), NO_RUN)
    slates = model.recommend([Query(history=["a"]), Query(history=["never heard of", "b"])])
    assert [slate.items for slate in slates] == [["b", "c"], ["a", "c"]]


def test_an_event_counts_half_after_each_half_life():
    # Day 10 is the last. a: two events at day 0 are two half-lives old: 2 * 0.25 = 0.5.
    #                     b: one event at day 10 counts 1.
    data = dataset_of(
        [("u1", "a", 0), ("u2", "a", 0), ("u1", "b", 10 * DAY)],
        ("user_id", "item_id", "timestamp"),
    )
    assert fit(data, Config(), NO_RUN).recommend([]).items == ["a", "b"]
    slate = fit(data, Config(half_life_days=5), NO_RUN).recommend([])
    assert slate.items == ["b", "a"]
    assert slate.scores == pytest.approx([1, 0.5])


def test_a_half_life_needs_timestamps():
    with pytest.raises(DataError, match=r"no timestamps.*half_life_days=7"):
        fit(THREE_A_TWO_B_ONE_C, Config(half_life_days=7), NO_RUN)


@pytest.mark.parametrize("days", [0, -1, float("nan")])
def test_a_half_life_is_positive(days):
    with pytest.raises(ConfigError, match="half_life_days"):
        Config(half_life_days=days)


def test_equal_counts_do_not_come_in_the_order_of_the_catalog():
    items = [f"item {number:02}" for number in range(40)]
    slate = fit(dataset_of([("u", item) for item in items]), Config(), NO_RUN).recommend([], k=40)
    assert sorted(slate.items) == items
    assert slate.items != items


def test_saved_and_restored(tmp_path):
    model = fit(THREE_A_TWO_B_ONE_C, Config(), NO_RUN)
    model.save(tmp_path / "model")
    again = restore(Saved.read(tmp_path / "model"))
    assert again.recommend(["b"]) == model.recommend(["b"])
    assert again.config == Config()


def test_below_evidence_keeps_the_order_and_stays_negative():
    # Counts 0 < 2 < 5 are levels 0, 1, 2 of 3: (0 - 3) / 3, (1 - 3) / 3, (2 - 3) / 3.
    assert below_evidence([5, 0, 5, 2]).tolist() == pytest.approx([-1 / 3, -1, -1 / 3, -2 / 3])
