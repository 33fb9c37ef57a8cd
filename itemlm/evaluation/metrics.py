"""Metrics: how good ranked lists are, question by question.

Every metric is a function of two arrays: which places of each list hold a target (`hits_QK`), and
how many targets each question has (`targets_Q`). It returns one value per question, so that means,
intervals and paired tests all start from the same numbers. "At k" means that only the first k
columns of `hits_QK` are given. The definitions are those of trec_eval.

Shapes      Q questions, K places in a list, P pairs of a question and one of its targets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from itemlm.data.held_out import HeldOut
from itemlm.order import distinct
from itemlm.types import BoolArray, DataError, FloatArray, IntArray, UnknownName


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The right answers. Each question has at least one; a target given twice counts once.

    Attributes:
        question_P: the question of each pair, ascending.
        item_P: the item row of each pair.
        count_Q: targets of each question.
    """

    question_P: IntArray
    item_P: IntArray
    count_Q: IntArray

    @classmethod
    def of(cls, held_out: HeldOut) -> Targets:
        """The answers of a held-out part."""
        question_P = np.repeat(np.arange(len(held_out)), np.diff(held_out.target_offsets))
        return cls._once(question_P, held_out.target_rows, len(held_out))

    @classmethod
    def from_lists(cls, targets: Sequence[Iterable[int]]) -> Targets:
        """From the item rows of each question, as in `[[4], [1, 7]]`."""
        lists = [list(rows) for rows in targets]
        question_P = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
        item_P = np.array([row for rows in lists for row in rows], dtype=np.int64)
        return cls._once(question_P, item_P, len(lists))

    @classmethod
    def _once(cls, question_P: IntArray, item_P: IntArray, questions: int) -> Targets:
        counts_Q = np.bincount(question_P, minlength=questions)
        if questions == 0 or (counts_Q == 0).any():
            where = "there are no questions" if questions == 0 else f"question {counts_Q.argmin()}"
            raise DataError(f"every question needs a target, but {where} has none.")
        # Without a repeated pair, which is the usual case, sorting can be skipped.
        if (counts_Q > 1).any():
            items = int(item_P.max()) + 1
            question_P, item_P = np.divmod(distinct(question_P * items + item_P), items)
            counts_Q = np.bincount(question_P)
        return cls(question_P=question_P, item_P=item_P, count_Q=counts_Q)

    def __len__(self) -> int:
        """Questions."""
        return len(self.count_Q)

    def only(self, keep_P: BoolArray) -> tuple[Targets, IntArray]:
        """The marked targets, and the questions that still have one (renumbered in order)."""
        asked, question_P = np.unique(self.question_P[keep_P], return_inverse=True)
        kept = Targets(
            question_P=question_P, item_P=self.item_P[keep_P], count_Q=np.bincount(question_P)
        )
        return kept, asked


def places(lists_QK: IntArray, targets: Targets) -> IntArray:
    """[P] place of every target in its question's list, counted from 0; K where it is missing."""
    match_PK = lists_QK[targets.question_P] == targets.item_P[:, None]
    place_P: IntArray = np.where(match_PK.any(axis=1), match_PK.argmax(axis=1), lists_QK.shape[1])
    return place_P


def hits(place_P: IntArray, targets: Targets, k: int) -> BoolArray:
    """hits_QK: does this place of the list hold a target?"""
    hits_QK = np.zeros((len(targets), k), dtype=bool)
    found_P = place_P < k
    hits_QK[targets.question_P[found_P], place_P[found_P]] = True
    return hits_QK


def recall(hits_QK: BoolArray, targets_Q: IntArray) -> FloatArray:
    """Recall@k: targets in the first k places / all targets of the question."""
    recall_Q: FloatArray = hits_QK.sum(axis=1) / targets_Q
    return recall_Q


def ndcg(hits_QK: BoolArray, targets_Q: IntArray) -> FloatArray:
    """NDCG@k: sum over hits of 1 / log2(place + 1), places from 1, divided by the ideal sum.

    The ideal list has its first min(k, targets) places right, so a perfect list scores 1 for every
    question, whatever its number of targets.
    """
    k = hits_QK.shape[1]
    discount_K = 1 / np.log2(np.arange(2, k + 2))
    ideal_K = np.cumsum(discount_K)
    ndcg_Q: FloatArray = (hits_QK @ discount_K) / ideal_K[np.minimum(targets_Q, k) - 1]
    return ndcg_Q


def hit_rate(hits_QK: BoolArray, targets_Q: IntArray) -> FloatArray:
    """HitRate@k: 1 if any of the first k places holds a target, else 0."""
    hit_rate_Q: FloatArray = np.minimum(hits_QK.sum(axis=1), 1.0)
    return hit_rate_Q


def mrr(hits_QK: BoolArray, targets_Q: IntArray) -> FloatArray:
    """MRR@k: 1 / place of the first hit, places from 1; 0 without a hit in the first k."""
    place_Q = 1 + hits_QK.argmax(axis=1)
    mrr_Q: FloatArray = hits_QK.any(axis=1) / place_Q
    return mrr_Q


def precision(hits_QK: BoolArray, targets_Q: IntArray) -> FloatArray:
    """Precision@k: hits in the first k places / k, also where the list is shorter than k."""
    precision_Q: FloatArray = hits_QK.sum(axis=1) / hits_QK.shape[1]
    return precision_Q


def average_precision(hits_QK: BoolArray, targets_Q: IntArray) -> FloatArray:
    """MAP@k: sum over hits of Precision@(place of the hit), divided by all targets of the question.

    Like trec_eval's `map_cut`. Others divide by min(k, targets): see
    `itemlm.evaluation.conventions`.
    """
    precision_QK = np.cumsum(hits_QK, axis=1) / np.arange(1, hits_QK.shape[1] + 1)
    ap_Q: FloatArray = (precision_QK * hits_QK).sum(axis=1) / targets_Q
    return ap_Q


METRICS: dict[str, Callable[[BoolArray, IntArray], FloatArray]] = {
    "Recall": recall,
    "NDCG": ndcg,
    "HitRate": hit_rate,
    "MRR": mrr,
    "Precision": precision,
    "MAP": average_precision,
}
SHORT = {"R": "Recall", "N": "NDCG", "H": "HitRate", "P": "Precision"}


def per_question(place_P: IntArray, targets: Targets, ks: Sequence[int]) -> dict[str, FloatArray]:
    """Every metric at every k: `{"Recall@10": [Q], ...}`."""
    hits_QK = hits(place_P, targets, max(ks))
    return {
        f"{name}@{k}": metric(hits_QK[:, :k], targets.count_Q)
        for k in ks
        for name, metric in METRICS.items()
    }


def full_name(name: str) -> str:
    """`R@10` -> `Recall@10`; full names stay as they are.

    Raises:
        UnknownName: if it is no metric.
    """
    parts = re.fullmatch(r"([A-Za-z]+)@([1-9]\d*)", name)
    metric = SHORT.get(parts[1], parts[1]) if parts else name
    if parts is None or metric not in METRICS:
        raise UnknownName("metric", name, [f"{metric}@10" for metric in METRICS])
    return f"{metric}@{parts[2]}"


def short_name(name: str) -> str:
    """`Recall@10` -> `R@10`; names without a short form stay as they are."""
    metric, _, k = name.partition("@")
    return {long: f"{short}@{k}" for short, long in SHORT.items()}.get(metric, name)
