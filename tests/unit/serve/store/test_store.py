"""What every store does, whatever database it is in."""

import itertools
import threading
import time
from collections import Counter
from datetime import date

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itemlm import Dataset
from itemlm.serve.store import (
    EventRow,
    Forgotten,
    Recommendation,
    Shadow,
    Shown,
    StoreCounts,
    StoreUnavailable,
    open_store,
)
from itemlm.types import ConfigError, DataError

DAY = 86_400_000_000
numbers = itertools.count()
one_store_for_all_examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def event(item="heat", at=0, user="ann", session=None, kind="view", event_id=None, **rest):
    return EventRow(event_id or f"e{next(numbers)}", user, session, item, kind, at, **rest)


def answer(name, at=0, user="ann", session=None, items=(), history=(), **rest):
    plain = {"model": "sasrec", "source": "model", "scenario": None, "experiment": None}
    plain |= {"group": None, "request_json": "{}"} | rest
    return Recommendation(
        name, at, user, session, history=list(history), items=list(items), **plain
    )


# --- Events ---------------------------------------------------------------------------------------


def test_an_event_is_given_back_as_it_was_taken(store):
    full = EventRow("e", "ann", "visit", "heat", "rating", 1_700_000_000_000_001, 4.5, "answer")
    bare = EventRow("f", None, None, "heat", "view", 0)
    assert store.add_events([full, bare]) == [True, True]
    [(_, kept)] = store.events_of("ann", limit=10)
    assert kept == full


@one_store_for_all_examples
@given(batches=st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=5))
def test_an_event_with_a_known_id_is_counted_once(store, batches):
    user = f"user-{next(numbers)}"
    known, items = set(), []
    for batch in batches:
        rows = [
            event(f"i{next(numbers)}", user=user, event_id=f"{user}-{number}") for number in batch
        ]
        new = []
        for row in rows:
            new.append(row.event_id not in known)
            items += [row.item_id] if new[-1] else []
            known.add(row.event_id)
        assert store.add_events(rows) == new
    assert store.histories([user], 100).get(user, []) == items


@one_store_for_all_examples
@given(
    times=st.lists(st.integers(0, 3), max_size=12),
    limit=st.integers(1, 5),
    shown=st.sets(st.integers(0, 11)),
)
def test_histories_are_the_last_events_by_time_then_arrival(store, times, limit, shown):
    ids = [f"user-{next(numbers)}" for _ in range(3)]
    rows = [
        event(
            f"i{place}",
            at,
            user=ids[place % 2],
            session=ids[place % 2],
            kind="impression" if place in shown else "view",
        )
        for place, at in enumerate(times)
    ]
    store.add_events(rows)
    taken = sorted((row for row in rows if row.kind == "view"), key=lambda row: row.at)
    expected = {
        name: [row.item_id for row in taken if row.user_id == name][-limit:] for name in ids
    }
    expected = {name: items for name, items in expected.items() if items}
    assert store.histories([*ids, *ids], limit) == expected
    assert store.session_histories(ids, limit) == expected


def test_pages_of_a_persons_events_meet_without_gap_or_repeat(store):
    # Times tie, so that only the order of arrival can part the pages.
    rows = [event(f"i{place}", at=place // 4) for place in range(10)]
    store.add_events([*rows, event(user="bob")])
    pages, before = [], None
    for _ in range(4):
        page = store.events_of("ann", limit=3, before=before)
        pages.append([row.item_id for _, row in page])
        before = page[-1][0]
    assert pages == [["i9", "i8", "i7"], ["i6", "i5", "i4"], ["i3", "i2", "i1"], ["i0"]]
    assert store.events_of("ann", limit=3, before=before) == []


def test_impressions_are_no_popularity(store):
    # 1 January 1970 was a Thursday: day 3 is Sunday, day 4 starts a week, day 31 is 1 February.
    days = [0, 3, 3, 4, 31]
    store.add_events([event("heat", day * DAY + 5) for day in days])
    store.add_events([event("heat", kind="impression"), event("alien", 4 * DAY)])
    assert store.item_counts() == {"heat": 5, "alien": 1}
    assert store.item_counts(since=4 * DAY) == {"heat": 2, "alien": 1}
    assert store.popularity("heat", "day") == [
        (date(1970, 1, 1), 1),
        (date(1970, 1, 4), 2),
        (date(1970, 1, 5), 1),
        (date(1970, 2, 1), 1),
    ]
    assert store.popularity("heat", "week") == [
        (date(1969, 12, 29), 3),
        (date(1970, 1, 5), 1),
        (date(1970, 1, 26), 1),
    ]
    assert store.popularity("heat", "month") == [(date(1970, 1, 1), 4), (date(1970, 2, 1), 1)]
    assert store.popularity("unknown", "day") == []


def test_exported_events_are_all_events_in_order_of_arrival(store, tmp_path, monkeypatch):
    monkeypatch.setattr("itemlm.serve.store.events.EXPORT_ROWS", 3)
    file = tmp_path / "new" / "events.parquet"
    store.export_events(file)
    assert pl.read_parquet(file).is_empty()
    store.add_events([event(f"i{place}", at=10 - place, value=0.5) for place in range(7)])
    store.export_events(file)
    frame = pl.read_parquet(file)
    assert frame["item_id"].to_list() == [f"i{place}" for place in range(7)]
    assert frame["timestamp"].dt.epoch("us").to_list() == [10, 9, 8, 7, 6, 5, 4]
    assert frame["value"].to_list() == [0.5] * 7
    assert [path.name for path in file.parent.iterdir()] == ["events.parquet"]
    with pytest.raises(DataError, match="cannot be written"):
        store.export_events(file / "below-a-file.parquet")


def test_a_model_can_be_trained_on_exported_events(store, tmp_path):
    rows = [("ann", "heat", 3), ("bob", "jaws", 2), ("ann", "alien", 1)]
    store.add_events([event(item, at * DAY, user, value=1.0) for user, item, at in rows])
    store.export_events(tmp_path / "events.parquet")
    dataset = Dataset.from_files(tmp_path / "events.parquet")
    assert dataset.query("ann").history == ["alien", "heat"]
    assert dataset.query("bob").history == ["jaws"]


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE events; --", '"', "%s ? {} \\", "naïve ☃ 🎬", "a\nb", " ", "5", "[1]"]
)
def test_any_text_comes_back_unharmed(store, text):
    store.add_events([event(text, user=text, session=text, event_id=text, kind=text)])
    assert store.histories([text], 5) == {text: [text]}
    assert store.session_histories([text], 5) == {text: [text]}
    assert store.item_counts() == {text: 1}
    store.log_recommendations([answer(text, user=text, items=[Shown(text, 1)], history=[text])])
    assert store.recommendation(text).items == [Shown(text, 1)]
    assert store.shown()["item_id"].to_list() == [text]
    store.change_items([(text, text)])
    assert store.item_changes()[0].fields_json == text
    assert store.forget(text) == Forgotten(events=1, recommendations=1)
    assert store.is_forgotten([text, "other"]) == {text}


def test_half_a_character_is_refused_in_a_sentence_and_nothing_is_kept(store):
    with pytest.raises(DataError, match="valid Unicode"):
        store.add_events([event("heat"), event("\ud800")])
    with pytest.raises(DataError, match="valid Unicode"):
        store.histories(["\ud800"], 5)
    assert store.counts().events == 0


# --- Answers --------------------------------------------------------------------------------------


def test_an_answer_is_given_back_as_it_was_taken(store):
    items = [Shown("heat", 1, 2.5, 0.25), Shown("alien", 2, pinned=True)]
    full = answer("r", 7, "ann", "visit", items, ["jaws"], scenario="home", experiment="x")
    store.log_recommendations([full, answer("s", user=None)])
    assert store.recommendation("r") == full
    assert store.recommendation("unknown") is None
    store.log_recommendations([answer("r", at=99)])
    assert store.recommendation("r") == full


def test_shown_and_outcomes_are_tables_for_analysis(store):
    items = [Shown("heat", 1, 2.5, 0.25), Shown("alien", 2, float("inf"))]
    store.log_recommendations(
        [
            answer("late", 20, "ann", "visit", items, experiment="x", group="b"),
            answer("early", 10, None, "visit", items[:1], scenario="home"),
            answer("empty", 15),
        ]
    )
    plain = {"model": "sasrec", "scenario": None, "experiment": "x", "group": "b"}
    late = {"recommendation_id": "late", "at": 20, "person": "ann", **plain}
    assert store.shown(since=20).to_dicts() == [
        {**late, "item_id": "heat", "place": 1, "score": 2.5, "propensity": 0.25},
        {**late, "item_id": "alien", "place": 2, "score": None, "propensity": None},
    ]
    assert store.shown()["person"].to_list() == ["visit", "ann", "ann"]
    assert store.shown(until=10).is_empty()
    assert store.shown(until=10).schema == store.shown().schema

    store.add_events(
        [
            event("heat", 11, recommendation_id="early", kind="purchase", value=9.5),
            event("alien", 12, recommendation_id="late"),
            event("jaws", 12),
        ]
    )
    first = {"recommendation_id": "early", "item_id": "heat", "kind": "purchase"}
    assert store.outcomes(until=12).to_dicts() == [{**first, "value": 9.5, "at": 11}]
    assert store.outcomes(since=12)["item_id"].to_list() == ["alien"]


def test_shadows_keep_what_another_model_would_have_answered(store):
    assert store.shadows().is_empty()
    store.log_shadow([Shadow("r", "tiger", ["heat", "alien"], 12.5), ("s", "tiger", [], 1.0)])
    assert store.shadows().rows() == [
        ("r", "tiger", ["heat", "alien"], 12.5),
        ("s", "tiger", [], 1.0),
    ]


# --- Items, models, keys --------------------------------------------------------------------------


def test_of_each_item_the_last_change_holds(store):
    first = store.change_items([("heat", '{"year": 1995}'), ("alien", "{}"), ("heat", "{}")])
    assert [change.item_id for change in first] == ["heat", "alien", "heat"]
    assert store.item_changes() == first[1:]
    [removed] = store.change_items([("alien", None)])
    assert removed.revision > first[-1].revision
    assert store.item_changes() == [first[2], removed]
    assert store.item_changes(after_revision=first[-1].revision) == [removed]
    assert store.change_items([]) == []


def test_activations_are_remembered_newest_first(store):
    for model in ("one", "two", "one"):
        store.activate(model)
    assert [row.model for row in store.activations(limit=2)] == ["one", "two"]
    assert store.activations(limit=9)[0].at >= store.activations(limit=9)[-1].at


def test_a_key_is_used_once_and_can_be_ended(store):
    store.add_key("shop", "abc", ["read", "write"])
    with pytest.raises(ConfigError, match="'shop'"):
        store.add_key("shop", "def", [])
    [key] = store.keys()
    assert (key.name, key.hash, key.scopes, key.revoked_at) == (
        "shop",
        "abc",
        ("read", "write"),
        None,
    )
    assert store.revoke_key("shop") is True
    assert store.revoke_key("shop") is False
    assert store.revoke_key("unknown") is False
    assert store.keys()[0].revoked_at >= key.created_at
    with pytest.raises(ConfigError, match="'shop'"):
        store.add_key("shop", "def", [])


# --- People and upkeep ----------------------------------------------------------------------------


def test_forgetting_deletes_a_person_and_nobody_else(store):
    store.add_events(
        [
            event(user="ann", session="visit"),
            event(user=None, session="visit"),  # before she signed in
            event(user="ann", recommendation_id="to nobody"),
            event(user="bob", session="visit"),  # on the same device
            event(user=None, session="other"),
        ]
    )
    store.log_recommendations(
        [
            answer("hers", user="ann"),
            answer("in her visit", user=None, session="visit"),
            answer("to nobody", user=None, history=["heat"]),
            answer("his", user="bob"),
        ]
    )
    store.log_shadow([Shadow("hers", "tiger", [], 1.0), Shadow("his", "tiger", [], 1.0)])
    assert store.forget("ann") == Forgotten(events=3, recommendations=3)
    assert store.counts() == StoreCounts(events=2, recommendations=1, users=1)
    assert store.shadows()["recommendation_id"].to_list() == ["his"]
    assert store.histories(["ann", "bob"], 5) == {"bob": ["heat"]}
    assert store.is_forgotten(["ann", "bob"]) == {"ann"}
    # Whoever comes back is welcome.
    store.add_events([event("alien", user="ann")])
    assert store.histories(["ann"], 5) == {"ann": ["alien"]}
    assert store.forget("ann") == Forgotten(events=1, recommendations=0)


def test_old_rows_are_deleted_in_small_steps(store, monkeypatch):
    monkeypatch.setattr("itemlm.serve.store.sql.DELETED_AT_ONCE", 2)
    now = time.time_ns() // 1000
    ages = [0, 1, 2, 8, 9, 10, 11, 12]  # days
    store.add_events([event(f"i{age}", now - age * DAY) for age in ages])
    store.log_recommendations([answer(f"r{age}", now - age * DAY) for age in ages])
    assert store.retain() == (0, 0)
    assert store.retain(events_days=7) == (5, 0)
    assert store.retain(recommendations_days=1.5) == (0, 6)
    assert store.item_counts() == {"i0": 1, "i1": 1, "i2": 1}
    assert store.counts() == StoreCounts(events=3, recommendations=2, users=1)


def test_readers_see_whole_batches_while_others_write(store):
    stop, seen, failures = threading.Event(), Counter(), []

    def read(name):
        try:
            while not stop.is_set():
                length = len(store.histories(["ann"], 1000).get("ann", []))
                assert length % 10 == 0
                seen[name] += 1
        except Exception as error:
            failures.append(error)

    def write(name):
        try:
            for batch in range(10):
                store.add_events([event(event_id=f"{name}-{batch}-{i}") for i in range(10)])
        except Exception as error:
            failures.append(error)

    readers = [threading.Thread(target=read, args=(name,)) for name in range(4)]
    writers = [threading.Thread(target=write, args=(name,)) for name in range(3)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert failures == []
    assert len(seen) == 4
    assert store.counts().events == 300


def test_a_store_opens_again_with_all_that_it_held(url):
    first = open_store(url)
    first.add_events([event("heat")])
    first.forget("eve")
    first.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        first.ping()
    again = open_store(url)
    again.ping()
    assert again.histories(["ann"], 5) == {"ann": ["heat"]}
    assert again.is_forgotten(["ann", "eve"]) == {"eve"}
    again.close()
