"""Statistics of a dataset small enough to count by hand, and the picture of its head and tail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.data.dataset import Dataset
from itemlm.data.statistics import describe, gini, plot_head_tail
from itemlm.types import ConfigError, DataError

DAY = 86_400_000
SECOND_OF_MARCH = 60 * DAY  # 1970-03-02


def dataset_of(timed: bool = True) -> Dataset:
    """Ann: a b a; Ben: a; Cem: b c b b. Items d and e have no events."""
    log = pl.DataFrame(
        {
            "user_id": ["ann"] * 3 + ["ben"] + ["cem"] * 4,
            "item_id": list("aba") + list("a") + list("bcbb"),
            # Ann's last two events tie, Ben's moment is Ann's but of another user, and of Cem's
            # events the first three tie.
            "timestamp": [0, DAY, DAY, DAY, 5, 5, 5, SECOND_OF_MARCH],
        }
    )
    catalog = pl.DataFrame({"item_id": list("abcde")})
    return Dataset.build(log if timed else log.drop("timestamp"), catalog, name="small")


def test_everything_is_counted() -> None:
    described = describe(dataset_of())
    assert described.name == "small"
    assert (described.users, described.items, described.events) == (3, 5, 8)
    assert described.items_without_events == 2
    # Pairs: ann-a ann-b ben-a cem-b cem-c, of 3 x 5.
    assert described.density == 5 / 15
    assert described.sparsity == 1 - 5 / 15
    assert described.mean_history == 8 / 3
    assert described.median_history == 3
    assert described.max_history == 4
    # Ann's second a and Cem's second and third b.
    assert described.repeat_share == 3 / 8
    # Two of Ann's and three of Cem's.
    assert described.tie_share == 5 / 8
    # Counts 0 0 1 3 4: the differences of all ordered pairs sum to 2 * (0 + 1+1 + 3+3+2 + 4+4+3+1)
    # = 44, so the Gini coefficient is 44 / (2 * 5 * 5 * mean) = 44 / (50 * 8/5).
    assert described.popularity_gini == pytest.approx(44 / (50 * 8 / 5))
    # A fifth of five items is one: b, with 4 of 8 events.
    assert described.head_events_share == 4 / 8
    assert (described.first_date, described.last_date) == ("1970-01-01", "1970-03-02")


def test_without_timestamps_there_are_no_dates_and_ties() -> None:
    described = describe(dataset_of(timed=False))
    assert described.tie_share is None
    assert (described.first_date, described.last_date) == (None, None)


def test_the_head_has_at_least_one_item() -> None:
    # A fifth of three items is 0.6, so the head is the one most popular item: 2 of 4 events.
    log = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": ["a", "b", "b", "c"]})
    assert describe(Dataset.build(log, name="three")).head_events_share == 2 / 4


def test_a_description_fits_into_json() -> None:
    described = describe(dataset_of())
    read = json.loads(json.dumps(described.to_dict()))
    assert read == described.to_dict()
    assert read["repeat_share"] == 3 / 8


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    x = np.array(counts, dtype=float)
    expected = np.abs(x[:, None] - x[None, :]).mean() / (2 * x.mean())
    assert gini(np.array(counts)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("counts", "expected"), [([3, 3, 3], 0), ([0, 0, 0, 8], 3 / 4)])
def test_gini_of_equals_and_of_one_who_has_all(counts: list[int], expected: float) -> None:
    assert gini(np.array(counts)) == pytest.approx(expected)


def test_nothing_cannot_be_described() -> None:
    empty = dataset_of()
    empty = empty.with_sequences(empty.sequences.keep(np.zeros(8, dtype=bool)), "emptied")
    with pytest.raises(DataError, match="'small' has no events to describe"):
        describe(empty)
    with pytest.raises(DataError, match="'small' has no events to draw"):
        plot_head_tail(empty, "picture.png")


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_the_picture_has_the_format_of_its_name(tmp_path: Path, suffix: str, start: bytes) -> None:
    target = tmp_path / "new" / f"picture{suffix}"
    plot_head_tail(dataset_of(), target)
    assert target.read_bytes().startswith(start)
    assert [path.name for path in target.parent.iterdir()] == [target.name]  # nothing left aside


def test_the_picture_says_what_it_shows(tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):  # letters as text, not as outlines
        plot_head_tail(dataset_of(), tmp_path / "picture.svg")
    drawn = (tmp_path / "picture.svg").read_text()
    for words in (
        "small: how events fall on 5 items",
        "2 without events are not drawn",
        "top 20% of items: 50% of events",
        "popularity rank of the item",
        "events per item",
        "share of all events",
    ):
        assert words in drawn


def test_a_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in '.jpg'; pictures end in .png or .svg"):
        plot_head_tail(dataset_of(), tmp_path / "picture.jpg")
