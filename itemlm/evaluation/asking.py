"""Asking: every recommender gets the same questions, and its answers are checked before they count.

A duplicate, an item that was to be left out or a NaN score changes the figures without a sound.
Such answers are refused with a sentence that names the recommender and the question.

Shapes      B questions of a batch, Q questions, K places asked for, N items.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from itemlm.types import BoolArray, DataError, FloatArray, IntArray, QueryBatch, TopK

LATENCY_CALLS = 50
LATENCY_SECONDS = 10.0  # slow recommenders are called less often
WARM_UP = 3


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one recommender said to all questions.

    Attributes:
        rows_QK: the lists, -1 beyond the last item.
        tied_Q: whether two neighbors in the list have the same score.
        seconds: time inside the recommender.
    """

    rows_QK: IntArray
    tied_Q: BoolArray
    seconds: float


def ask(
    name: str, recommender: TopK, questions: QueryBatch, k: int, items: int, batch_size: int
) -> Answers:
    """The recommender's k best items for every question.

    Raises:
        DataError: if an answer breaks the contract of `TopK`.
    """
    rows_QK = np.full((len(questions), k), -1, dtype=np.int32)
    tied_Q = np.zeros(len(questions), dtype=bool)
    seconds = 0.0
    for start in range(0, len(questions), batch_size):
        batch = questions[start : start + batch_size]
        began = time.perf_counter()
        answer = recommender.topk(batch, min(k, items))
        seconds += time.perf_counter() - began
        rows_BK, scores_BK = np.asarray(answer[0]), np.asarray(answer[1])
        _check(name, batch, rows_BK, scores_BK, min(k, items), items, start)
        window = slice(start, start + len(batch))
        rows_QK[window, : rows_BK.shape[1]] = rows_BK
        tied_Q[window] = _tied(rows_BK, scores_BK)
    return Answers(rows_QK=rows_QK, tied_Q=tied_Q, seconds=seconds)


def latency_ms(
    recommender: TopK, questions: QueryBatch, k: int, items: int, seed: int, together: int = 1
) -> float:
    """Median milliseconds of a call with so many questions, over 50 random calls (or 10 s)."""
    together = min(together, len(questions))
    starts = len(questions) - together + 1
    count = min(LATENCY_CALLS + WARM_UP, starts)
    chosen = np.random.default_rng(seed).choice(starts, count, replace=False)
    times: list[float] = []
    for place, q in enumerate(chosen.tolist()):
        asked = questions[q : q + together]
        began = time.perf_counter()
        recommender.topk(asked, min(k, items))
        took = time.perf_counter() - began
        if place >= WARM_UP or count <= WARM_UP:
            times.append(took)
        if sum(times) > LATENCY_SECONDS:
            break
    return 1000 * float(np.median(times))


def _tied(rows_BK: IntArray, scores_BK: FloatArray) -> BoolArray:
    """[B] do two neighbors have the same score? Then chance decided their order."""
    same = (scores_BK[:, 1:] == scores_BK[:, :-1]) & (rows_BK[:, 1:] >= 0)
    tied_B: BoolArray = same.any(axis=1)
    return tied_B


def _check(
    name: str,
    batch: QueryBatch,
    rows_BK: IntArray,
    scores_BK: FloatArray,
    k: int,
    items: int,
    first: int,
) -> None:
    """Refuse a batch of answers that breaks the contract; `first` is the batch's first question."""

    def refuse(bad_BX: BoolArray, what: str) -> None:
        if bad_BX.any():
            question = first + int(bad_BX.any(axis=1).argmax())
            raise DataError(f"'{name}', question {question}: {what}")

    expected = (len(batch), k)
    if rows_BK.shape != expected or scores_BK.shape != expected:
        raise DataError(
            f"'{name}' answered with rows of shape {rows_BK.shape} and scores of shape "
            f"{scores_BK.shape}, but both must be {expected}: questions x items asked for. Fill "
            "lists that are too short with row -1 and score -inf."
        )
    if not np.issubdtype(rows_BK.dtype, np.integer):
        raise DataError(f"'{name}' gave item rows as {rows_BK.dtype}, but they must be integers.")
    real_BK = rows_BK >= 0
    refuse(
        (rows_BK < -1) | (rows_BK >= items),
        f"an item row is outside -1 to {items - 1}. The catalog has {items} items; was the model "
        "made for other data?",
    )
    refuse(
        real_BK[:, 1:] & ~real_BK[:, :-1],
        "an empty place (row -1) stands before an item. Empty places belong at the end.",
    )
    refuse(
        np.isnan(scores_BK) & real_BK,
        "a score is NaN, so its item has no rank. Look for a division by zero or diverged "
        "training.",
    )
    ordered_BK = np.sort(rows_BK, axis=1)
    refuse(
        (ordered_BK[:, 1:] == ordered_BK[:, :-1]) & (ordered_BK[:, 1:] >= 0),
        "an item is recommended twice. Each item may have one place in a list.",
    )
    query_BK = np.broadcast_to(np.arange(len(batch))[:, None], rows_BK.shape)
    refuse(
        batch.holds(query_BK, rows_BK),
        "an item of the history is recommended, although `exclude_seen` asked to leave those out. "
        "All recommenders must be masked alike, or their figures cannot be compared.",
    )
