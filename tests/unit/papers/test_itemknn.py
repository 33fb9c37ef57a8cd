"""ItemKNN: the arithmetic of similarity and votes, the plain form, and a slow oracle for both."""

from __future__ import annotations

from math import sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlm import sparse
from itemlm.data.dataset import Dataset
from itemlm.papers.collaborative import itemknn, popularity
from itemlm.papers.collaborative.itemknn import Config, fit, restore
from itemlm.recommender import Saved
from itemlm.types import ConfigError, ItemlmWarning, Query

NO_RUN = None  # nothing is trained
CATALOG = pl.DataFrame({"item_id": list("abcdef")})


def dataset_of(*histories):
    """One user per history, whose items are single letters."""
    events = [(user, item) for user, history in enumerate(histories) for item in history]
    frame = pl.DataFrame(events, schema={"user_id": pl.Int64, "item_id": pl.String}, orient="row")
    return Dataset.build(frame, CATALOG, name="tiny")


def scores_of(model, history, **how):
    slate = model.recommend(list(history), k=6, **how)
    return dict(zip(slate.items, slate.scores, strict=True))


def test_similarity_is_directed_and_normalized():
    # a is taken 2 times, b 3, c 1. Within one step: a->b twice, b->c once.
    config = Config(window=1, backward=0.5, source_power=0.5, target_power=0.5)
    scores = scores_of(fit(dataset_of("ab", "ab", "bc"), config, NO_RUN), "b")
    assert scores["c"] == pytest.approx(1 / sqrt(3 * 1))
    assert scores["a"] == pytest.approx(0.5 * 2 / sqrt(3 * 2))  # against its direction: half


def test_target_power_decides_how_much_popular_items_are_held_back():
    # After a: b once, c once; but c is taken 4 times in all and b once. a is taken twice.
    data = dataset_of("ab", "ac", "c", "c", "c")
    for power, expected in ((0, 1 / sqrt(2)), (1, 1 / (sqrt(2) * 4))):
        config = Config(target_power=power, source_power=0.5)
        assert scores_of(fit(data, config, NO_RUN), "a")["c"] == pytest.approx(expected)


def test_pairs_fade_with_distance_and_end_with_the_window():
    counts = {"source_power": 0, "target_power": 0, "backward": 0}
    near = fit(dataset_of("abcd"), Config(window=2, distance_decay=0.5, **counts), NO_RUN)
    scores = scores_of(near, "a")
    assert scores["b"] == 1  # one step
    assert scores["c"] == 0.5  # two steps
    assert scores["d"] < 0  # three steps: no evidence


def test_votes_fade_with_age_and_end_with_last():
    # e follows a, b and c once each; similarities are 1 with both powers 0.
    config = {"window": 1, "source_power": 0, "target_power": 0, "backward": 0}
    data = dataset_of("ae", "be", "ce")
    model = fit(data, Config(recency=0.5, last=2, **config), NO_RUN)
    assert scores_of(model, "abc")["e"] == 1 + 0.5  # c is 0 steps old, b 1; a no longer votes
    assert scores_of(model, "aa")["e"] == 1 + 0.5  # each event votes
    all_vote = fit(data, Config(recency=1.0, last=None, **config), NO_RUN)
    assert scores_of(all_vote, "abc")["e"] == 3


def test_plain_is_the_cosine_of_whole_histories():
    # a is taken by 2 users, b by 3; 2 of them took both; order and repeats do not matter.
    scores = scores_of(fit(dataset_of("ab", "bca", "b"), Config.plain(), NO_RUN), "a")
    assert scores["b"] == pytest.approx(2 / sqrt(2 * 3))
    assert scores["c"] == pytest.approx(1 / sqrt(2 * 1))


def test_only_the_nearest_neighbors_are_kept():
    # After a: b twice, c once, so with one neighbor c has no evidence.
    model = fit(dataset_of("ab", "ab", "ac"), Config(neighbors=1), NO_RUN)
    scores = scores_of(model, "a")
    assert scores["b"] > 0 > scores["c"]


def test_items_without_evidence_follow_by_popularity_and_below_any_evidence():
    # f, taken once, is the only item near a; d is taken 3 times, e twice. Levels of the counts
    # 0 (b, c), 1 (f), 2 (a, e), 3 (d) are 4: d is (3 - 4) / 4, e is (2 - 4) / 4.
    model = fit(dataset_of("af", "a", "d", "d", "d", "e", "e"), Config(), NO_RUN)
    slate = model.recommend(["a"], k=6)
    assert slate.items[:3] == ["f", "d", "e"]
    assert slate.scores[1:3] == [-0.25, -0.5]
    assert set(slate.items[3:]) == {"b", "c"}


@pytest.mark.parametrize("config", [Config(), Config.plain()])
def test_nothing_known_gets_the_order_of_popularity(config):
    data = dataset_of("abc", "bc", "c", "fa", "ce")
    popular = popularity.fit(data, popularity.Config(), NO_RUN).recommend([])
    model = fit(data, config, NO_RUN)
    assert model.recommend([]).items == popular.items
    with pytest.warns(ItemlmWarning, match="what anyone would get"):
        assert model.recommend(["unheard of"]).items == popular.items
    assert model.recommend(["d"]).items == [item for item in popular.items if item != "d"]


def test_where_people_repeat_a_repeat_is_evidence():
    model = fit(dataset_of("aab", "aa"), Config(), NO_RUN)
    assert scores_of(model, "a", exclude_seen=False)["a"] > scores_of(model, "a")["b"]


histories = st.lists(st.text("abcdef", max_size=7), min_size=1, max_size=6).filter(any)
configs = st.builds(
    Config,
    window=st.none() | st.integers(1, 8),
    distance_decay=st.sampled_from([0.5, 1.0]),
    backward=st.sampled_from([0.0, 0.4, 1.0]),
    source_power=st.sampled_from([0.0, 0.5]),
    target_power=st.sampled_from([0.0, 0.2, 1.0]),
    neighbors=st.just(6),
    last=st.none() | st.integers(1, 4),
    recency=st.sampled_from([0.7, 1.0]),
)


def by_loops(histories, config, query):
    """The definition, pair by pair; None where there is no evidence."""
    pairs = dict.fromkeys([(i, j) for i in "abcdef" for j in "abcdef"], 0.0)
    for history in histories:
        if config.window is None:
            for i in set(history):
                for j in set(history) - {i}:
                    pairs[i, j] += 1
            continue
        for early in range(len(history)):
            for late in range(early + 1, min(early + config.window, len(history) - 1) + 1):
                weight = config.distance_decay ** (late - early - 1)
                pairs[history[early], history[late]] += weight
                pairs[history[late], history[early]] += config.backward * weight
    count = {item: max(1, "".join(histories).count(item)) for item in "abcdef"}
    voters = list(enumerate(reversed(query)))[: config.last]
    return {
        j: sum(
            config.recency**age
            * pairs[i, j]
            / (count[i] ** config.source_power * count[j] ** config.target_power)
            for age, i in voters
        )
        for j in "abcdef"
    }


@given(histories, configs, st.text("abcdef", max_size=6))
def test_equals_the_definition(histories, config, query):
    model = fit(dataset_of(*histories), config, NO_RUN)
    expected = by_loops(histories, config, query)
    for item, score in scores_of(model, query, exclude_seen=False).items():
        if expected[item] > 0:
            assert score == pytest.approx(expected[item], rel=1e-5)
        else:
            assert -1 <= score < 0


def test_plain_agrees_with_a_product_of_scipy_matrices():
    scipy_sparse = pytest.importorskip("scipy.sparse", reason="the oracle is scipy's")
    rng = np.random.default_rng(0)
    data = dataset_of(*("".join(rng.choice(list("abcdef"), 4)) for _ in range(30)))
    rows, users = data.sequences.item_rows, data.sequences.user_rows
    taken_UN = scipy_sparse.csr_array((np.ones(len(rows)), (users, rows))).astype(bool).astype(int)
    together_NN = (taken_UN.T @ taken_UN).toarray() * (1 - np.eye(6))
    expected_NN = together_NN / np.sqrt(np.outer(data.item_counts, data.item_counts))
    found_NN = fit(data, Config.plain(), NO_RUN).similar_NN.toarray()
    np.testing.assert_allclose(found_NN, expected_NN, rtol=1e-6)


@pytest.mark.parametrize("config", [Config(), Config.plain()])
def test_blocks_of_items_change_nothing(config, monkeypatch):
    data = dataset_of("abcdef", "fedcba", "acf", "bdf")
    whole = fit(data, config, NO_RUN).similar_NN.toarray()
    monkeypatch.setattr(itemknn, "PAIRS_AT_A_TIME", 4)
    monkeypatch.setattr(sparse, "TERMS_AT_A_TIME", 4)
    np.testing.assert_array_equal(fit(data, config, NO_RUN).similar_NN.toarray(), whole)


@pytest.mark.parametrize("config", [Config(), Config.plain()])
def test_the_data_stay_as_they_are(config):
    data = dataset_of("cba", "fad")
    before = data.sequences.item_rows.tolist()
    fit(data, config, NO_RUN)
    assert data.sequences.item_rows.tolist() == before


def test_many_queries_equal_one_by_one():
    model = fit(dataset_of("abc", "bcd", "cde"), Config(), NO_RUN)
    queries = [Query(history=list(history)) for history in ("ab", "", "cde", "b")]
    assert model.recommend(queries) == [model.recommend(query) for query in queries]


def test_saved_and_restored(tmp_path):
    model = fit(dataset_of("abc", "bcd", "cde"), Config(window=3), NO_RUN)
    model.save(tmp_path / "model")
    again = restore(Saved.read(tmp_path / "model"))
    assert again.recommend(["a", "b"]) == model.recommend(["a", "b"])
    assert again.config == Config(window=3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 0},
        {"neighbors": 0},
        {"last": 0},
        {"recency": 0},
        {"distance_decay": 1.5},
        {"backward": -0.1},
    ],
)
def test_settings_that_cannot_work(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Config(**wrong)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.5, 1.0, 2.0]))), st.integers(1, 4))
def test_the_strongest_of_each_line(pairs, keep):
    pairs.sort(key=lambda pair: pair[0])
    expected = []
    for line in range(4):
        of_line = [place for place, pair in enumerate(pairs) if pair[0] == line]
        expected += sorted(of_line, key=lambda place: -pairs[place][1])[:keep]  # sorting is stable
    line_Z = np.array([line for line, _ in pairs], dtype=np.int64)
    value_Z = np.array([value for _, value in pairs], dtype=np.float32)
    assert itemknn._strongest(line_Z, value_Z, keep).tolist() == sorted(expected)
