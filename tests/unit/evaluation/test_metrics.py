"""Metrics, by hand and beside trec_eval's definitions."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from itemlm.evaluation.metrics import (
    METRICS,
    Targets,
    full_name,
    per_question,
    places,
    short_name,
)
from itemlm.types import DataError, UnknownName

# Three questions: one answer in second place; two of three answers found; nothing found.
LISTS = np.array([[7, 4, 1, 9], [3, 8, 5, 2], [1, 2, -1, -1]])
TARGETS = Targets.from_lists([[4], [3, 2, 6], [9]])


def values(k: int) -> dict[str, list[float]]:
    found = per_question(places(LISTS, TARGETS), TARGETS, (k,))
    return {name: of_question.tolist() for name, of_question in found.items()}


def test_places_count_from_zero_and_end_with_the_list_length_for_missing_targets() -> None:
    # Pairs in order: question 0: item 4; question 1: items 2, 3, 6; question 2: item 9.
    assert places(LISTS, TARGETS).tolist() == [1, 3, 0, 4, 4]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Recall@4", [1 / 1, 2 / 3, 0]),
        ("Precision@4", [1 / 4, 2 / 4, 0]),
        ("HitRate@4", [1, 1, 0]),
        ("MRR@4", [1 / 2, 1 / 1, 0]),
        # Places 1 and 4 of question 1 are hits; its ideal list has hits in places 1, 2 and 3.
        (
            "NDCG@4",
            [
                (1 / log2(3)) / (1 / log2(2)),
                (1 / log2(2) + 1 / log2(5)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4)),
                0,
            ],
        ),
        # Precision at the hits: 1/2; then 1/1 and 2/4, over three targets.
        ("MAP@4", [(1 / 2) / 1, (1 / 1 + 2 / 4) / 3, 0]),
    ],
)
def test_metrics_by_hand(name: str, expected: list[float]) -> None:
    assert values(4)[name] == pytest.approx(expected)


def test_the_ideal_of_ndcg_is_cut_at_k() -> None:
    # Question 1 at k = 2: place 1 is a hit; of three targets only two fit into two places.
    expected = (1 / log2(2)) / (1 / log2(2) + 1 / log2(3))
    assert values(2)["NDCG@2"][1] == pytest.approx(expected)


def test_a_target_given_twice_counts_once() -> None:
    twice = Targets.from_lists([[4, 4], [3]])
    assert twice.count_Q.tolist() == [1, 1]
    assert twice.item_P.tolist() == [4, 3]


def test_only_keeps_the_questions_that_still_have_a_target() -> None:
    kept, asked = TARGETS.only(np.array([False, True, False, True, True]))
    assert asked.tolist() == [1, 2]
    assert kept.question_P.tolist() == [0, 0, 1]
    assert kept.item_P.tolist() == [2, 6, 9]
    assert kept.count_Q.tolist() == [2, 1]


@pytest.mark.parametrize("targets", [[[1], []], []])
def test_a_question_without_a_target_is_refused(targets: list[list[int]]) -> None:
    with pytest.raises(DataError, match="every question needs a target"):
        Targets.from_lists(targets)


def test_short_and_full_names() -> None:
    assert full_name("R@10") == "Recall@10"
    assert full_name("NDCG@5") == "NDCG@5"
    assert short_name("NDCG@5") == "N@5"
    assert short_name("MAP@5") == "MAP@5"
    for wrong in ("NDCG", "Recal@10", "NDCG@0"):
        with pytest.raises(UnknownName, match="There is no metric"):
            full_name(wrong)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_agreement_with_ir_measures(k: int) -> None:
    """A hundred random questions with 1 to 15 targets, and lists of 0 to 10 items."""
    ir_measures = pytest.importorskip("ir_measures")
    rng = np.random.default_rng(k)
    lists = np.argsort(rng.random((100, 40)), axis=1)[:, :10]
    lists[np.arange(10) >= rng.integers(0, 11, 100)[:, None]] = -1
    answers = [rng.choice(40, rng.integers(1, 16), replace=False).tolist() for _ in range(100)]
    targets = Targets.from_lists(answers)
    ours = per_question(places(lists, targets), targets, (k,))

    run = {  # strictly falling scores, so that there is nothing to break ties by
        f"q{q}": {f"i{item}": 10.0 - place for place, item in enumerate(row) if item >= 0}
        for q, row in enumerate(lists.tolist())
    }
    qrels = {f"q{q}": {f"i{item}": 1 for item in row} for q, row in enumerate(answers)}
    measures = {
        "Recall": ir_measures.R @ k,
        "NDCG": ir_measures.nDCG @ k,
        "HitRate": ir_measures.Success @ k,
        "MRR": ir_measures.RR @ k,
        "Precision": ir_measures.P @ k,
        "MAP": ir_measures.AP @ k,
    }
    assert set(measures) == set(METRICS)
    theirs = {name: np.zeros(100) for name in measures}
    names = {measure: name for name, measure in measures.items()}
    for found in ir_measures.iter_calc(list(measures.values()), qrels, run):
        theirs[names[found.measure]][int(found.query_id[1:])] = found.value
    for name in measures:
        np.testing.assert_allclose(ours[f"{name}@{k}"], theirs[name], rtol=0, atol=1e-9)
    assert ours[f"Recall@{k}"].sum() > 0
