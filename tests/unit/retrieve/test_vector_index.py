"""Nearest vectors under filters: nothing is lost, whichever way an answer is made."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.retrieve.vector_index import Planner, VectorIndex
from itemlm.types import ConfigError, DataError

K = 10
EXACT = Planner(gathered_up_to=0)
GATHERED = Planner(gathered_up_to=1)
ANN = Planner(exact_up_to=0, fetched_up_to=1, ann_above=0)


def unit(x_XD):
    length_X1 = np.linalg.norm(x_XD, axis=-1, keepdims=True)
    return (x_XD / np.maximum(length_X1, 1e-12)).astype(np.float32)


def clustered(count, width, seed, topics=400):
    """Vectors like those of texts: close to one of a few topics."""
    topic_KD = np.random.default_rng(0).normal(size=(topics, width))
    rng = np.random.default_rng(seed)
    return unit(topic_KD[rng.integers(topics, size=count)] + 0.7 * rng.normal(size=(count, width)))


@pytest.fixture(scope="module")
def catalog():
    return clustered(20_000, 64, seed=1)


@pytest.fixture(scope="module")
def queries():
    return clustered(50, 64, seed=2)


def brute_force(vectors_ND, query_D, k, allowed_N):
    """The oracle: rows and scores of one query, by sorting everything."""
    score_N = vectors_ND @ query_D
    rows = [row for row in np.argsort(-score_N) if allowed_N[row] and vectors_ND[row].any()][:k]
    return rows, score_N[rows]


def recall(index, queries_BD, k, allowed_N):
    rows_BK, _ = index.search(queries_BD, k, allowed_N)
    everything = index.vectors(np.arange(len(index)))
    found = [
        len(set(rows_K.tolist()) & set(brute_force(everything, query_D, k, allowed_N)[0])) / k
        for rows_K, query_D in zip(rows_BK, queries_BD, strict=True)
    ]
    return float(np.mean(found))


def share_of(items, share):
    return np.random.default_rng(3).permutation(items) < share * items


@pytest.mark.parametrize("planner", [EXACT, GATHERED], ids=["exact", "gathered"])
@pytest.mark.parametrize("share", [1, 0.1, 0.01, 0.001])
def test_nothing_is_lost_under_any_filter(catalog, queries, planner, share):
    index = VectorIndex(catalog, planner=planner)
    assert recall(index, queries, K, share_of(len(catalog), share)) == 1


@pytest.mark.parametrize("share", [1, 0.5])
def test_the_approximate_index_finds_nearly_all(catalog, queries, share):
    pytest.importorskip("faiss", reason="needs the extra `serve`")
    index = VectorIndex(catalog, planner=ANN)
    allowed_N = share_of(len(catalog), share)
    assert index.plan(int(allowed_N.sum()), K) == "ann"
    assert recall(index, queries, K, allowed_N) >= 0.95
    rows_BK, scores_BK = index.search(queries, K, allowed_N)
    assert allowed_N[rows_BK].all()
    # Candidates are scored again, so scores are those of the float32 vectors.
    exact_BK = np.einsum("bkd,bd->bk", catalog[rows_BK], queries)
    np.testing.assert_allclose(scores_BK, exact_BK, rtol=1e-5)


def test_a_query_whose_neighbours_are_filtered_out_gets_others(catalog, queries):
    """The nearest 5,000 items of the first query are not allowed: no candidate is left for it."""
    pytest.importorskip("faiss", reason="needs the extra `serve`")
    allowed_N = np.ones(len(catalog), dtype=bool)
    allowed_N[np.argsort(-(catalog @ queries[0]))[:5000]] = False
    index = VectorIndex(catalog, planner=ANN)
    rows_BK, _ = index.search(queries[:1], K, allowed_N)
    assert rows_BK[0].tolist() == brute_force(catalog, queries[0], K, allowed_N)[0]


@pytest.mark.parametrize(
    ("items", "allowed", "k", "plan"),
    [
        (100_000, 100_000, 10, "exact"),
        (100_000, 20_000, 10, "gathered"),  # a fifth, and no more
        (100_000, 20_001, 10, "exact"),
        (1_000_000, 1_000_000, 10, "exact"),  # a million is not yet too many
        (1_000_001, 1_000_000, 10, "ann"),
        (2_000_000, 100_001, 10, "ann"),  # more than 5 %
        (2_000_000, 100_000, 10, "gathered"),
        (2_000_000, 2_000_000, 10_000, "ann"),  # 20,000 candidates: 1 %
        (2_000_000, 2_000_000, 10_001, "exact"),
        (2_000_000, 200_000, 1001, "gathered"),  # too many candidates, but a tenth of the items
    ],
)
def test_the_plan_follows_the_share_of_allowed_items(items, allowed, k, plan):
    assert Planner().plan(items, allowed, k) == plan


def test_without_faiss_every_answer_is_exact(monkeypatch, catalog, queries):
    monkeypatch.setitem(sys.modules, "faiss", None)
    index = VectorIndex(catalog, planner=ANN)
    assert index.plan(len(catalog), K) == "exact"
    assert index.plan(100, K) == "gathered"
    assert recall(index, queries, K, np.ones(len(catalog), dtype=bool)) == 1


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_small_cases_equal_brute_force(data):
    """Every plan, with zero vectors, growth and any filter; so few lists are all read."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    items, later, k = (data.draw(st.integers(*bounds)) for bounds in ((1, 40), (0, 40), (1, 12)))
    name = data.draw(st.sampled_from(["exact", "gathered", "ann"]))
    if name == "ann":
        pytest.importorskip("faiss", reason="needs the extra `serve`")
    rng = np.random.default_rng(seed)
    vectors_ND = unit(rng.normal(size=(items + later, 3)))
    vectors_ND[rng.random(items + later) < 0.2] = 0
    allowed_N = rng.random(items + later) < data.draw(st.sampled_from([0, 0.1, 0.5, 1]))
    queries_BD = unit(rng.normal(size=(4, 3)))
    planner = {"exact": EXACT, "gathered": GATHERED, "ann": ANN}[name]
    index = VectorIndex(vectors_ND[:items], planner=planner).grown(vectors_ND[items:])
    rows_BK, scores_BK = index.search(queries_BD, k, allowed_N)
    for rows_K, scores_K, query_D in zip(rows_BK, scores_BK, queries_BD, strict=True):
        rows, scores = brute_force(vectors_ND, query_D, k, allowed_N)
        assert rows_K.tolist() == rows + [-1] * (k - len(rows))
        np.testing.assert_allclose(scores_K[: len(rows)], scores, atol=1e-6)
        assert np.isneginf(scores_K[len(rows) :]).all()


@pytest.mark.parametrize("planner", [EXACT, GATHERED, ANN], ids=["exact", "gathered", "ann"])
def test_zero_vectors_neither_come_back_nor_find_anything(planner):
    """Row 0 scores 0, more than the opposite vector in row 2; it still never comes back."""
    index = VectorIndex(np.array([[0, 0], [1, 0], [-1, 0]]), planner=planner)
    rows_BK, scores_BK = index.search(np.array([[1, 0], [0, 0]]), 3)
    assert rows_BK.tolist() == [[1, 2, -1], [-1, -1, -1]]
    assert scores_BK.tolist() == [[1, -1, -np.inf], [-np.inf] * 3]


@pytest.mark.parametrize("planner", [EXACT, ANN], ids=["exact", "ann"])
def test_growing_leaves_the_old_index_as_it_was(catalog, planner):
    """1,000 rows, then 30 waiting outside the approximate index, then 3,000 worth a copy of it."""
    old = VectorIndex(catalog[:1000], planner=planner)
    middle = old.grown(catalog[1000:1030])
    new = middle.grown(catalog[1030:4030])
    other = old.grown(-catalog[1000:1030])  # a second one, grown from the same
    sizes = {1000: old, 1030: middle, 4030: new}
    for row in (999, 1029, 4029):
        for size, index in sizes.items():
            assert len(index) == size
            found = index.search(catalog[row : row + 1], 1)[0].item()
            assert found == row if row < size else found < size
    assert other.search(-catalog[1010:1011], 1)[0].item() == 1010
    assert middle.search(catalog[1010:1011], 1)[0].item() == 1010


def test_growing_row_by_row_shares_memory(catalog):
    index = VectorIndex(catalog[:1000]).grown(catalog[1000:1001])
    grown = index
    for row in range(1001, 1500):
        grown = grown.grown(catalog[row : row + 1])
    assert np.shares_memory(index._vectors_ND, grown._vectors_ND)
    np.testing.assert_array_equal(grown.vectors(np.arange(1500)), catalog[:1500])


def test_searching_while_another_thread_grows(catalog, queries):
    index = VectorIndex(catalog[:5000], planner=ANN)
    expected = index.search(queries, K)[0].tolist()
    answers = []

    def search():
        answers.extend(index.search(queries, K)[0].tolist() == expected for _ in range(20))

    thread = threading.Thread(target=search)
    thread.start()
    grown = index
    for start in range(5000, 10_000, 500):
        grown = grown.grown(catalog[start : start + 500])
    thread.join()
    assert answers == [True] * 20
    assert grown.search(catalog[9999:], 1)[0][0, 0] == 9999


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda index: index.search(np.zeros((1, 3)), 1),
            "but must be a matrix 2 wide",
        ),
        (lambda index: index.search(np.zeros((1, 2)), 0), "k is 0"),
        (lambda index: index.search(np.ones((1, 2)), 1, np.ones(5, bool)), "each of the 3 items"),
        (lambda index: index.search(np.ones((1, 2)), 1, np.ones(3)), "float64 of shape"),
        (lambda index: index.search(np.full((1, 2), np.nan), 1), "NaN or infinity"),
        (lambda index: index.grown(np.ones((1, 5))), "a matrix 2 wide"),
        (lambda index: VectorIndex(np.ones(4)), "must be a matrix"),
    ],
)
def test_what_does_not_fit_is_a_sentence(call, sentence):
    with pytest.raises(DataError, match=sentence):
        call(VectorIndex(np.eye(3, 2)))


def test_a_share_beyond_one_is_a_sentence():
    with pytest.raises(ConfigError, match="ann_above is 5"):
        Planner(ann_above=5)
