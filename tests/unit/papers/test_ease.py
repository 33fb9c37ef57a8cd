"""EASE: the closed form by hand and against one ridge regression per item."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlm import sparse
from itemlm.data.dataset import Dataset
from itemlm.papers.collaborative import ease, popularity
from itemlm.papers.collaborative.ease import Config, fit, restore
from itemlm.recommender import Saved
from itemlm.types import ConfigError, DataError, ItemlmWarning, Query

NO_RUN = None  # nothing is trained step by step
ITEMS = "abcdef"
CATALOG = pl.DataFrame({"item_id": list(ITEMS)})


def dataset_of(*histories):
    """One user per history, whose items are single letters."""
    events = [(user, item) for user, history in enumerate(histories) for item in history]
    frame = pl.DataFrame(events, schema={"user_id": pl.Int64, "item_id": pl.String}, orient="row")
    return Dataset.build(frame, CATALOG, name="tiny")


def scores_of(model, history):
    slate = model.recommend(list(history), k=6)
    return dict(zip(slate.items, slate.scores, strict=True))


def test_two_items_by_hand():
    # Users took {a, b} and {a}: G = [[2, 1], [1, 1]] and G + I = [[3, 1], [1, 2]],
    # whose inverse is P = [[2, -1], [-1, 3]] / 5. B_ab = -P_ab / P_bb = 1 / 3, B_ba = 1 / 2.
    model = fit(dataset_of("ab", "a"), Config(l2=1), NO_RUN)
    assert scores_of(model, "a")["b"] == pytest.approx(1 / 3)
    assert scores_of(model, "b")["a"] == pytest.approx(1 / 2)


histories = st.lists(st.text(ITEMS, max_size=6), min_size=1, max_size=8).filter(any)


@given(histories, st.sampled_from([0.5, 1.0, 20.0]))
def test_equals_one_ridge_regression_per_item(histories, l2):
    taken_UN = np.array([[float(item in history) for item in ITEMS] for history in histories])
    expected_NN = np.zeros((6, 6))
    for target in range(6):
        others = [row for row in range(6) if row != target]
        inputs = taken_UN[:, others]
        left = inputs.T @ inputs + l2 * np.eye(5)
        expected_NN[others, target] = np.linalg.solve(left, inputs.T @ taken_UN[:, target])
    found_NN = fit(dataset_of(*histories), Config(l2=l2), NO_RUN).weights_NN
    np.testing.assert_allclose(found_NN, expected_NN, atol=1e-4)


def test_what_another_item_explains_earns_little():
    # b brings a 20 times of 20, and so does c, 10 times of 10, but c never comes without b.
    # Ridge of a on b and c: [[20 + 1, 10], [10, 10 + 1]] w = [20, 10], with determinant 131:
    # w_b = (20 * 11 - 10 * 10) / 131 and w_c = (21 * 10 - 10 * 20) / 131.
    a, b, c = range(3)
    weights_NN = fit(dataset_of(*["abc"] * 10, *["ab"] * 10), Config(l2=1), NO_RUN).weights_NN
    assert weights_NN[b, a] == pytest.approx(120 / 131)
    assert weights_NN[c, a] == pytest.approx(10 / 131)


def test_a_repeat_counts_once():
    once, twice = (fit(dataset_of(h, "bc"), Config(), NO_RUN) for h in ("ab", "aabb"))
    np.testing.assert_array_equal(once.weights_NN, twice.weights_NN)
    assert once.recommend(["a"]).scores == once.recommend(["a", "a"]).scores


def test_nothing_known_gets_the_order_of_popularity():
    data = dataset_of("abc", "bc", "c", "fa", "ce")
    popular = popularity.fit(data, popularity.Config(), NO_RUN).recommend([])
    model = fit(data, Config(), NO_RUN)
    assert model.recommend([]).items == popular.items
    with pytest.warns(ItemlmWarning, match="what anyone would get"):
        assert model.recommend(["unheard of"]).items == popular.items
    assert model.recommend(["d"]).items == [item for item in popular.items if item != "d"]


def test_blocks_of_lines_change_nothing(monkeypatch):
    data = dataset_of("abcdef", "fedcba", "acf", "bdf")
    whole = fit(data, Config(l2=1), NO_RUN).weights_NN
    monkeypatch.setattr(ease, "ROWS_AT_A_TIME", 4)
    monkeypatch.setattr(sparse, "TERMS_AT_A_TIME", 4)
    np.testing.assert_allclose(fit(data, Config(l2=1), NO_RUN).weights_NN, whole, atol=1e-6)


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 40, 100])
def test_the_inverse_agrees_with_numpy(monkeypatch, rows_at_a_time):
    monkeypatch.setattr(ease, "ROWS_AT_A_TIME", rows_at_a_time)
    factor = np.random.default_rng(0).normal(size=(60, 40))
    matrix_NN = (factor.T @ factor + 5 * np.eye(40)).astype(np.float32)
    expected_NN = -np.linalg.inv(matrix_NN.astype(np.float64))
    np.testing.assert_allclose(ease._minus_inverse(matrix_NN, 5), expected_NN, atol=1e-6)


def test_the_data_stay_as_they_are():
    data = dataset_of("cba", "fad")
    before = data.sequences.item_rows.tolist()
    fit(data, Config(), NO_RUN)
    assert data.sequences.item_rows.tolist() == before


def test_many_queries_equal_one_by_one():
    model = fit(dataset_of("abc", "bcd", "cde"), Config(l2=1), NO_RUN)
    queries = [Query(history=list(history)) for history in ("ab", "", "cde", "b")]
    for query, slate in zip(queries, model.recommend(queries), strict=True):
        alone = model.recommend(query)
        assert slate.items == alone.items
        assert slate.scores == pytest.approx(alone.scores)


def test_saved_as_float32_and_restored(tmp_path):
    model = fit(dataset_of("abc", "bcd", "cde"), Config(l2=2), NO_RUN)
    model.save(tmp_path / "model")
    saved = Saved.read(tmp_path / "model")
    assert {name: str(array.dtype) for name, array in saved.state.items()} == {
        "weights": "float32",
        "filler": "float32",
    }
    again = restore(saved)
    assert again.recommend(["a", "b"]) == model.recommend(["a", "b"])
    assert again.config == Config(l2=2)


def test_too_many_items_for_the_memory_is_a_sentence(monkeypatch):
    # 6 items are 36 pairs of 4 bytes: 144 bytes.
    monkeypatch.setattr(ease, "_available_bytes", lambda: 144)
    fit(dataset_of("ab"), Config(), NO_RUN)
    monkeypatch.setattr(ease, "_available_bytes", lambda: 143)
    with pytest.raises(DataError, match=r"EASE needs .* for 6 items.*itemknn"):
        fit(dataset_of("ab"), Config(), NO_RUN)


def test_l2_must_make_the_equations_solvable():
    with pytest.raises(ConfigError, match="l2 is 0"):
        Config(l2=0)
    with pytest.raises(ConfigError, match="too small"):  # 1 + 1e-12 is 1 in float32
        fit(dataset_of("ab"), Config(l2=1e-12), NO_RUN)
