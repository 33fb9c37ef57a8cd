"""Asking: answers that would falsify the figures are refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.evaluation.asking import ask, latency_ms
from itemlm.types import DataError, FloatArray, IntArray, QueryBatch

QUESTIONS = QueryBatch(  # three histories over five items: [0], [1, 2], []
    offsets=np.array([0, 1, 3, 3]), item_rows=np.array([0, 1, 2]), user_rows=np.arange(3)
)
GOOD = np.array([[1, 2, 3], [0, 3, -1], [0, 1, 2]])
SCORES = np.array([[3.0, 2.0, 2.0], [2.0, 1.0, -np.inf], [3.0, 2.0, 1.0]])


class Fixed:
    """Answers question by question from prepared lists, and counts its calls."""

    def __init__(self, rows: IntArray, scores: FloatArray) -> None:
        self.rows, self.scores, self.calls = rows, scores, []

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        self.calls.append((len(batch), k))
        return self.rows[batch.user_rows], self.scores[batch.user_rows]


def changed(array: np.ndarray, where: tuple[int, int], value: float) -> np.ndarray:
    copy = array.copy()
    copy[where] = value
    return copy


def test_questions_are_asked_in_batches() -> None:
    model = Fixed(GOOD, SCORES)
    answers = ask("fixed", model, QUESTIONS, k=3, items=5, batch_size=2)
    assert model.calls == [(2, 3), (1, 3)]
    assert answers.rows_QK.tolist() == GOOD.tolist()
    assert answers.seconds > 0


def test_a_tie_is_two_neighbors_with_the_same_score() -> None:
    answers = ask("fixed", Fixed(GOOD, SCORES), QUESTIONS, k=3, items=5, batch_size=8)
    assert answers.tied_Q.tolist() == [True, False, False]


def test_empty_places_are_no_tie() -> None:
    rows = np.array([[1, -1, -1], [0, 3, -1], [0, 1, 2]])
    scores = np.where(rows < 0, -np.inf, SCORES)
    answers = ask("fixed", Fixed(rows, scores), QUESTIONS, k=3, items=5, batch_size=8)
    assert not answers.tied_Q.any()


def test_never_more_items_are_asked_for_than_exist() -> None:
    model = Fixed(GOOD, SCORES)
    # Three items exist; the lists are filled up to the eleven places that were wanted.
    questions = QueryBatch(
        offsets=np.zeros(4, int), item_rows=np.empty(0, int), user_rows=np.arange(3)
    )
    model.rows = np.array([[1, 2, 0], [0, 1, -1], [0, 1, 2]])
    answers = ask("fixed", model, questions, k=11, items=3, batch_size=8)
    assert model.calls == [(3, 3)]
    assert answers.rows_QK.shape == (3, 11)
    assert answers.rows_QK[0].tolist() == [1, 2, 0, *[-1] * 8]


@pytest.mark.parametrize(
    ("rows", "scores", "message"),
    [
        (changed(GOOD, (2, 1), 0), SCORES, "'bad', question 2: an item is recommended twice"),
        (changed(GOOD, (0, 2), 5), SCORES, "'bad', question 0: an item row is outside -1 to 4"),
        (changed(GOOD, (0, 2), -7), SCORES, "'bad', question 0: an item row is outside"),
        (GOOD, changed(SCORES, (1, 0), np.nan), "'bad', question 1: a score is NaN"),
        (changed(GOOD, (1, 1), 2), SCORES, "'bad', question 1: an item of the history"),
        (changed(GOOD, (0, 0), -1), SCORES, "'bad', question 0: an empty place"),
        (GOOD[:, :2], SCORES, r"'bad' answered with rows of shape \(3, 2\)"),
        (GOOD.astype(float), SCORES, "'bad' gave item rows as float64"),
    ],
)
def test_bad_answers_are_refused(rows: IntArray, scores: FloatArray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ask("bad", Fixed(rows, scores), QUESTIONS, k=3, items=5, batch_size=8)


def test_the_question_is_counted_over_all_batches() -> None:
    model = Fixed(changed(GOOD, (2, 1), 0), SCORES)
    with pytest.raises(DataError, match="question 2"):
        ask("bad", model, QUESTIONS, k=3, items=5, batch_size=1)


def test_nan_beyond_the_end_of_a_list_does_not_matter() -> None:
    scores = changed(SCORES, (1, 2), np.nan)
    answers = ask("fixed", Fixed(GOOD, scores), QUESTIONS, k=3, items=5, batch_size=8)
    assert len(answers.rows_QK) == 3


def test_latency_asks_one_question_at_a_time_after_warming_up() -> None:
    many = QueryBatch(
        offsets=np.zeros(201, int), item_rows=np.empty(0, int), user_rows=np.zeros(200, int)
    )
    model = Fixed(GOOD, SCORES)
    assert latency_ms(model, many, k=3, items=5, seed=0) > 0
    assert model.calls == [(1, 3)] * (3 + 50)


def test_latency_of_many_questions_asks_them_together() -> None:
    many = QueryBatch(
        offsets=np.zeros(101, int), item_rows=np.empty(0, int), user_rows=np.zeros(100, int)
    )
    model = Fixed(np.repeat(GOOD[:1], 64, 0), np.repeat(SCORES[:1], 64, 0))
    assert latency_ms(model, many, k=3, items=5, seed=0, together=64) > 0
    assert model.calls == [(64, 3)] * 37  # there are no more windows of 64 among 100


def test_latency_of_slow_recommenders_takes_fewer_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("itemlm.evaluation.asking.LATENCY_SECONDS", 0.0)
    model = Fixed(GOOD, SCORES)
    latency_ms(model, QUESTIONS, k=3, items=5, seed=0)
    assert len(model.calls) == 1
