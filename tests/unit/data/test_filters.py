"""Filters: which events stay, who goes with them, and what the note says."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.data.dataset import Dataset
from itemlm.data.filters import drop_duplicates, k_core, min_history, min_value, time_window
from itemlm.types import ConfigError, DataError

DAY = 86_400_000  # milliseconds

# user, item, day, value: Ann sees a twice, Cem only once anything, and nobody sees d.
LOG = [
    ("ann", "a", 0, 5.0),
    ("ann", "b", 1, 3.0),
    ("ann", "a", 2, 1.0),
    ("ben", "a", 0, 4.0),
    ("ben", "b", 3, 4.0),
    ("cem", "c", 4, 2.0),
]


def dataset_of(log: list[tuple[str, str, int, float]] = LOG, timed: bool = True) -> Dataset:
    frame = pl.DataFrame(log, schema=["user_id", "item_id", "timestamp", "value"], orient="row")
    frame = frame.with_columns(pl.col("timestamp") * DAY)
    catalog = pl.DataFrame({"item_id": list("abcd"), "title": list("ABCD")})
    profiles = pl.DataFrame({"user_id": ["ann", "ben", "cem"], "age": [1, 2, 3]})
    if not timed:
        frame = frame.drop("timestamp", "value")
    return Dataset.build(frame, catalog, profiles, name="log")


def log_of(dataset: Dataset) -> list[tuple[str, str, int]]:
    events = dataset.events.select("user_id", "item_id", pl.col("timestamp") // DAY)
    return events.rows()


def test_k_core_repeats_until_nothing_changes() -> None:
    # Each user and each item needs two events. Item c has one event and goes; that leaves Dan with
    # one event (b), so he goes; that leaves b with Ann's event only, so b goes; Ann still has a
    # twice, and so has Ben.
    log = [("ann", "a"), ("ann", "a"), ("ann", "b"), ("ben", "a"), ("ben", "a"), ("dan", "b")]
    dataset = dataset_of([(user, item, 0, 1.0) for user, item in [*log, ("dan", "c")]])
    left = k_core(dataset, users=2, items=2)
    assert log_of(left) == [("ann", "a", 0)] * 2 + [("ben", "a", 0)] * 2
    assert left.users.ids.to_list() == ["ann", "ben"]
    assert left.items.ids.to_list() == ["a"]
    assert left.catalog.to_dicts() == [{"item_id": "a", "title": "A"}]
    assert left.notes[-1] == (
        "kept 2-core of users and 2-core of items: 4 of 7 events, 2 of 3 users and 1 of 4 items."
    )


def test_k_core_of_one_takes_out_what_has_no_events() -> None:
    left = k_core(dataset_of(), users=1, items=1)
    assert left.items.ids.to_list() == ["a", "b", "c"]
    assert log_of(left) == log_of(dataset_of())


def slow_k_core(log: list[tuple[int, int]], users: int, items: int) -> list[tuple[int, int]]:
    """The definition: take out one event too rare at a time."""
    log = list(log)
    while True:
        of_user = Counter(user for user, _ in log)
        of_item = Counter(item for _, item in log)
        rare = [(u, i) for u, i in log if of_user[u] < users or of_item[i] < items]
        if not rare:
            return log
        log.remove(rare[0])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_k_core_is_what_taking_out_one_at_a_time_leaves(
    log: list[tuple[int, int]], users: int, items: int
) -> None:
    frame = pl.DataFrame(log, schema=["user_id", "item_id"], orient="row")
    dataset = Dataset.build(frame, name="log")
    expected = slow_k_core(log, users, items)
    if not expected:
        with pytest.raises(DataError, match="nothing of 'log' is left"):
            k_core(dataset, users, items)
        return
    left = k_core(dataset, users, items)
    assert sorted(left.events.rows()) == sorted(expected)
    assert set(left.users.ids) == {user for user, _ in expected}
    assert set(left.items.ids) == {item for _, item in expected}


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("first", [("ann", "a", 0), ("ann", "b", 1)]),
        ("last", [("ann", "b", 1), ("ann", "a", 2)]),
    ],
)
def test_drop_duplicates_keeps_one_event_of_user_and_item(
    keep: str, left: list[tuple[str, str, int]]
) -> None:
    dataset = drop_duplicates(dataset_of(), keep=keep)  # type: ignore[arg-type]
    assert log_of(dataset)[:2] == left
    assert dataset.notes[-1] == (
        f"kept the {keep} event of each user with each item: 5 of 6 events, 3 of 3 users and 4 of "
        "4 items."
    )


def test_min_history_takes_out_users_and_keeps_the_catalog() -> None:
    dataset = min_history(dataset_of(), events=2)
    assert dataset.users.ids.to_list() == ["ann", "ben"]
    assert dataset.items.ids.to_list() == ["a", "b", "c", "d"]
    assert dataset.profiles is not None
    assert dataset.profiles.rows() == [("ann", 1), ("ben", 2)]
    assert dataset.sequences.offsets.tolist() == [0, 3, 5]
    assert dataset.notes[-1] == (
        "kept users with at least 2 events: 5 of 6 events, 2 of 3 users and 4 of 4 items."
    )


@pytest.mark.parametrize("start", [DAY, "1970-01-02", "1970-01-02T00:00Z", date(1970, 1, 2)])
@pytest.mark.parametrize("stop", [3 * DAY, "1970-01-04", str(10**11 + 1)])
def test_time_window_includes_its_start_and_not_its_stop(
    start: int | str | date, stop: int | str
) -> None:
    left = log_of(time_window(dataset_of(), start, stop))
    inside = [("ann", "b", 1), ("ann", "a", 2)]
    later = [("ben", "b", 3), ("cem", "c", 4)]
    assert left == (inside + later if stop == str(10**11 + 1) else inside)


def test_time_window_without_limits_keeps_everything() -> None:
    dataset = dataset_of()
    assert log_of(time_window(dataset)) == log_of(dataset)
    assert time_window(dataset, stop="1970-01-02").notes[-1] == (
        "kept events before 1970-01-02: 2 of 6 events, 2 of 3 users and 4 of 4 items."
    )


def test_min_value_keeps_what_reaches_it() -> None:
    dataset = min_value(dataset_of(), 4)
    assert log_of(dataset) == [("ann", "a", 0), ("ben", "a", 0), ("ben", "b", 3)]
    assert dataset.sequences.values is not None
    assert dataset.sequences.values.tolist() == [5.0, 4.0, 4.0]
    assert dataset.notes[-1] == (
        "kept events with a value of at least 4: 3 of 6 events, 2 of 3 users and 4 of 4 items."
    )


def test_filters_leave_the_given_dataset_alone() -> None:
    dataset = dataset_of()
    before = dataset.fingerprint, dataset.notes, dataset.sequences.item_rows.copy()
    k_core(min_value(drop_duplicates(dataset), 2), 2, 2)
    assert (dataset.fingerprint, dataset.notes) == before[:2]
    assert np.array_equal(dataset.sequences.item_rows, before[2])


def test_filters_say_what_they_cannot_do() -> None:
    dataset, untimed = dataset_of(), dataset_of(timed=False)
    with pytest.raises(DataError, match="has no timestamps, which a time window needs"):
        time_window(untimed, "2020-01-01")
    with pytest.raises(DataError, match="has no values"):
        min_value(untimed, 4)
    with pytest.raises(DataError, match="nothing of 'log' is left if only events with a value of"):
        min_value(dataset, 6)
    with pytest.raises(ConfigError, match="users is 0, but it must be 1 or more"):
        k_core(dataset, users=0)
    with pytest.raises(ConfigError, match="events is -1, but it must be 1 or more"):
        min_history(dataset, -1)
    with pytest.raises(ConfigError, match="keep is 'middle'"):
        drop_duplicates(dataset, "middle")  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", ["soon", "2020", "2020-02-31"])
def test_a_moment_that_cannot_be_read(moment: str) -> None:
    with pytest.raises(ConfigError, match=f"start is '{moment}', but it must be an ISO date"):
        time_window(dataset_of(), moment)
