"""Exact top-k: masks, ties, short answers, and agreement with a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlm.retrieve import exact
from itemlm.retrieve.exact import topk_in_blocks, topk_of_scores
from itemlm.types import DataError, QueryBatch


def batch_of(histories, *, exclude_seen=True, allowed=None, own=None):
    lengths = [len(history) for history in histories]
    return QueryBatch(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item_rows=np.array([row for history in histories for row in history], dtype=np.int64),
        user_rows=np.full(len(histories), -1),
        exclude_seen=exclude_seen,
        allowed_N=None if allowed is None else np.array(allowed),
        allowed_BN=None if own is None else np.array(own),
    )


def by_full_sort(scores_BN, batch, k, tie_seed=0):
    """The definition, slowly: mask, sort everything by (-score, place in the tie order), cut."""
    items = scores_BN.shape[1]
    place_of = np.argsort(np.random.default_rng(tie_seed).permutation(items)).tolist()
    rows, scores = [], []
    for query, line in enumerate(scores_BN.tolist()):
        seen = batch.item_rows[batch.offsets[query] : batch.offsets[query + 1]].tolist()
        shown = [
            row
            for row in range(items)
            if line[row] > -np.inf
            and not (batch.exclude_seen and row in seen)
            and (batch.allowed_N is None or batch.allowed_N[row])
            and (batch.allowed_BN is None or batch.allowed_BN[query, row])
        ]
        shown.sort(key=lambda row: (-line[row], place_of[row]))
        best = shown[:k]
        gap = k - len(best)
        rows.append(best + [-1] * gap)
        scores.append([line[row] for row in best] + [-np.inf] * gap)
    return rows, scores


def test_best_first():
    rows, scores = topk_of_scores(np.array([[0.1, 0.9, 0.5]]), batch_of([[]]), k=2)
    assert rows.tolist() == [[1, 2]]
    assert scores.tolist() == [[0.9, 0.5]]


def test_seen_items_are_left_out_unless_asked_for():
    scores = np.array([[0.1, 0.9, 0.5]])
    assert topk_of_scores(scores, batch_of([[1]]), k=1)[0].tolist() == [[2]]
    assert topk_of_scores(scores, batch_of([[1]], exclude_seen=False), k=1)[0].tolist() == [[1]]


def test_only_allowed_items_and_a_gap_where_none_are_left():
    batch = batch_of([[0]], allowed=[True, False, True])  # 0 is seen, 1 is not allowed
    rows, scores = topk_of_scores(np.array([[0.1, 0.9, 0.5]]), batch, k=2)
    assert rows.tolist() == [[2, -1]]
    assert scores.tolist() == [[0.5, -np.inf]]


def test_more_places_than_items():
    rows, scores = topk_of_scores(np.array([[0.1, 0.9]]), batch_of([[]]), k=4)
    assert rows.tolist() == [[1, 0, -1, -1]]
    assert scores.shape == (1, 4)


def test_the_scores_given_are_not_changed():
    scores = np.array([[0.1, 0.9, 0.5]])
    topk_of_scores(scores, batch_of([[1]], allowed=[True, True, False]), k=2)
    assert scores.tolist() == [[0.1, 0.9, 0.5]]


def test_a_tie_is_broken_by_the_seed_and_not_by_the_row():
    scores = np.broadcast_to(np.float32(1.0), (1, 50))
    winners = {int(topk_of_scores(scores, batch_of([[]]), 1, seed)[0][0, 0]) for seed in range(40)}
    assert len(winners) > 15  # row 0 would win every time if rows decided
    first, again = (topk_of_scores(scores, batch_of([[]]), 10, tie_seed=3)[0] for _ in range(2))
    assert first.tolist() == again.tolist()


def test_nan_is_a_sentence():
    with pytest.raises(DataError, match="NaN"):
        topk_of_scores(np.array([[0.1, np.nan, 0.5, 0.2]]), batch_of([[]]), k=1)


@st.composite
def problems(draw):
    """Few distinct values, so that ties are everywhere, the k-th place above all."""
    queries, items = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    values = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0])
    line = st.lists(values, min_size=items, max_size=items)
    scores = np.array([draw(line) for _ in range(queries)], dtype=np.float32)
    history = st.lists(st.integers(0, items - 1), max_size=6)
    mask = st.lists(st.booleans(), min_size=items, max_size=items)
    own = st.none() | st.lists(mask, min_size=queries, max_size=queries)
    batch = batch_of(
        [draw(history) for _ in range(queries)],
        exclude_seen=draw(st.booleans()),
        allowed=draw(st.none() | mask),
        own=draw(own),
    )
    return scores, batch, draw(st.integers(1, 15)), draw(st.integers(0, 3))


@given(problems())
def test_equals_a_full_sort(problem):
    scores, batch, k, seed = problem
    expected_rows, expected_scores = by_full_sort(scores, batch, k, seed)
    rows, found = topk_of_scores(scores, batch, k, seed)
    assert rows.tolist() == expected_rows
    assert found.tolist() == expected_scores


@pytest.mark.parametrize(("groups", "crowd"), [(3, 1), (3, 100), (512, 1)])
@given(problem=problems())
def test_equals_a_full_sort_whichever_way_is_taken(problem, groups, crowd):
    """Few groups make loose thresholds; lines with a crowd of candidates go another way."""
    scores, batch, k, seed = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "GROUPS", groups)
        patch.setattr(exact, "CROWD", crowd)
        rows, found = topk_of_scores(scores, batch, k, seed)
    expected_rows, expected_scores = by_full_sort(scores, batch, k, seed)
    assert rows.tolist() == expected_rows
    assert found.tolist() == expected_scores


@pytest.mark.parametrize("k", [1, 7, 200])
def test_equals_a_full_sort_over_many_items(k):
    """More items than groups, and not a multiple: 1,300 = 2 x 512 + 276."""
    scores = np.random.default_rng(0).standard_normal((3, 1300)).astype(np.float32)
    scores[1] = scores[1].round(1)  # some ties
    scores[2] = 1  # nothing but ties
    batch = batch_of([[5, 1299], [], [0]])
    rows, found = topk_of_scores(scores, batch, k)
    expected_rows, expected_scores = by_full_sort(scores, batch, k)
    assert rows.tolist() == expected_rows
    assert found.tolist() == expected_scores


@pytest.mark.parametrize("place", [0, 700, 1299])
def test_nan_is_found_wherever_it_is(place):
    scores = np.zeros((2, 1300), dtype=np.float32)
    scores[1, place] = np.nan
    with pytest.raises(DataError, match="NaN"):
        topk_of_scores(scores, batch_of([[], []]), k=5)
    assert topk_of_scores(scores, batch_of([[], [place]]), k=5)[0].shape == (
        2,
        5,
    )  # seen: no matter


def test_blocks_change_nothing(monkeypatch):
    scores = np.random.default_rng(0).integers(0, 4, (23, 9)).astype(np.float32)
    batch = batch_of([[query % 9] for query in range(23)])
    rows = topk_of_scores(scores, batch, k=4)[0]
    monkeypatch.setattr(exact, "BLOCK_ELEMENTS", 9 * 2)
    monkeypatch.setattr(exact, "DENSE_BYTES", 8 * 9 * 5)
    sizes = []

    def score(part):
        sizes.append(len(part))
        return scores[sum(sizes[:-1]) : sum(sizes)]

    assert topk_in_blocks(score, batch, k=4, items=9)[0].tolist() == rows.tolist()
    assert sizes == [5, 5, 5, 5, 3]


def test_no_queries_and_no_items():
    assert topk_of_scores(np.empty((0, 3)), batch_of([]), k=2)[0].shape == (0, 2)
    assert topk_of_scores(np.empty((1, 0)), batch_of([[]]), k=2)[0].tolist() == [[-1, -1]]
