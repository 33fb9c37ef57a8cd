"""Order: the fast ways to sort, look up and count agree with NumPy's own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm import order
from itemlm.data.sequences import Sequences, inside_spans, span_places
from itemlm.data.ties import order_ties
from itemlm.data.vocabulary import factorize
from itemlm.order import count_rows, distinct, history_order, stable_order

INT64 = st.integers(-(2**63), 2**63 - 1)
quick = settings(max_examples=80, deadline=None)


@quick
@given(st.lists(INT64 | st.integers(-3, 3), max_size=40))
def test_stable_order_is_a_stable_argsort(keys: list[int]) -> None:
    key_E = np.array(keys, dtype=np.int64)
    assert stable_order(key_E).tolist() == np.argsort(key_E, kind="stable").tolist()


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_stable_order_of_more_events_than_fit_a_block(
    kind: type[np.integer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "BLOCK", 64)
    key_E = np.random.default_rng(0).integers(-50, 50, 1000).astype(kind)
    assert (stable_order(key_E) == np.argsort(key_E, kind="stable")).all()
    assert (count_rows(key_E + 50, 101) == np.bincount(key_E + 50, minlength=101)).all()


@quick
@given(st.lists(st.tuples(st.integers(0, 4), INT64 | st.integers(0, 5)), min_size=1, max_size=40))
def test_history_order_sorts_by_user_then_time(events: list[tuple[int, int]]) -> None:
    user_E, time_E = np.array(events, dtype=np.int64).T
    expected = np.lexsort((time_E, user_E)).tolist()
    assert history_order(user_E, time_E).tolist() == expected
    in_time = np.argsort(time_E, kind="stable")
    user_E, time_E = user_E[in_time], time_E[in_time]
    assert history_order(user_E, time_E).tolist() == np.lexsort((time_E, user_E)).tolist()
    assert history_order(user_E, None).tolist() == np.argsort(user_E, kind="stable").tolist()


@quick
@given(
    st.lists(INT64, min_size=1, max_size=12)
    | st.lists(st.integers(-20, 20), min_size=1, max_size=40)
    | st.lists(st.text(max_size=2), min_size=1, max_size=12)
)
def test_factorize_numbers_the_ids_in_their_order(ids: list[int] | list[str]) -> None:
    vocabulary, row_E = factorize(pl.Series(ids))
    assert vocabulary.ids.to_list() == sorted(set(ids))
    assert vocabulary.ids_of(row_E) == ids
    assert row_E.dtype == np.int32


@quick
@given(st.lists(st.integers(0, 3), min_size=2, max_size=20))
def test_spans_are_the_places_between_their_ends(steps: list[int]) -> None:
    ends = np.cumsum(steps[: len(steps) // 2 * 2])  # 2 -> 5, 5 -> 5, 7 -> 8: some are empty
    start, stop = ends[::2], ends[1::2]
    size = int(ends[-1]) + 2
    expected = [place for a, b in zip(start, stop, strict=True) for place in range(a, b)]
    assert span_places(start, stop).tolist() == expected
    assert np.flatnonzero(inside_spans(start, stop, size)).tolist() == expected


@quick
@given(
    st.lists(st.lists(st.integers(0, 4), max_size=8).map(sorted), min_size=1, max_size=6),
    st.integers(0, 9),
    st.booleans(),
)
def test_ties_are_shuffled_as_sorting_by_a_random_key_would(
    times: list[list[int]], seed: int, mixed_up: bool
) -> None:
    offsets = np.cumsum([0, *(len(of_user) for of_user in times)])
    time_E = np.array([time for of_user in times for time in of_user], dtype=np.int64)
    if mixed_up:  # then sorting by time is done as well
        time_E = time_E[::-1].copy()
    sequences = Sequences(
        offsets=offsets,
        item_rows=np.arange(offsets[-1], dtype=np.int32),
        timestamps=time_E,
        values=np.arange(offsets[-1], dtype=np.float32),
    )
    key_E = np.random.default_rng(seed).random(len(time_E))
    expected = np.lexsort((key_E, time_E, sequences.user_rows))
    shuffled = order_ties(sequences, "shuffle", seed)
    assert shuffled.item_rows.tolist() == expected.tolist()
    assert shuffled.values is not None
    assert shuffled.values.tolist() == expected.tolist()
    assert shuffled.timestamps is not None
    assert shuffled.timestamps.tolist() == time_E[expected].tolist()


@given(st.lists(st.integers(-5, 5)))
def test_distinct_is_what_numpy_calls_unique(keys):
    assert distinct(np.array(keys, dtype=np.int64)).tolist() == sorted(set(keys))
