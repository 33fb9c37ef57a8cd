"""Other libraries' figures, computed from the same lists.

The golden numbers come from the libraries themselves, run on the lists below: RecTools 0.19.0
(`rectools.metrics`, default arguments) and RecBole 1.2.1 (`recbole/evaluator/metrics.py`, with
`np.float` restored, which newer NumPy no longer has, and 10 decimals).
"""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from itemlm.evaluation.conventions import recbole, rectools
from itemlm.evaluation.metrics import Targets, per_question, places
from itemlm.types import ConfigError

LISTS = np.array(
    [
        [3, 7, 1, 12, 5, 0, 9, 14, 2, 8],
        [4, 2, 11, 6, 10, 13, 1, 3, 0, 15],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
        [10, 11, 12, 13, 14, 15, 0, 1, 2, 3],
        [5, 3, 8, 1, 13, 2, 7, 15, 4, 6],
        [0, 15, 1, 14, 2, 13, 3, 12, 4, 11],
    ]
)
TARGETS = Targets.from_lists([[3], [1], [14], [10, 12, 2, 9], [6, 8, 5, 0, 1, 11, 12], [4, 12]])

RECTOOLS_0_19_0 = {
    "Precision@3": 0.27777777777777773,
    "Recall@3": 0.2976190476190476,
    "F1Beta@3": 0.24523809523809526,
    "HitRate@3": 0.5,
    "MRR@3": 0.5,
    "MAP@3": 0.27579365079365076,
    "NDCG@3": 0.31285248401517096,
    "Precision@10": 0.18333333333333335,
    "Recall@10": 0.7202380952380952,
    "F1Beta@10": 0.26602156013920725,
    "HitRate@10": 0.8333333333333334,
    "MRR@10": 0.5446428571428571,
    "MAP@10": 0.36980820105820106,
    "NDCG@10": 0.21901330145095646,
}
RECTOOLS_0_19_0_ACHIEVABLE = {"NDCG@3": 0.40130602967804485, "NDCG@10": 0.5040959975390531}
RECBOLE_1_2_1 = {
    "recall@3": 0.2976190476,
    "mrr@3": 0.5,
    "ndcg@3": 0.4013060297,
    "hit@3": 0.5,
    "precision@3": 0.2777777778,
    "map@3": 0.3518518519,
    "recall@10": 0.7202380952,
    "mrr@10": 0.5446428571,
    "ndcg@10": 0.5040959975,
    "hit@10": 0.8333333333,
    "precision@10": 0.1833333333,
    "map@10": 0.3698082011,
}


def test_rectools() -> None:
    assert rectools(LISTS, TARGETS, (3, 10)) == pytest.approx(RECTOOLS_0_19_0, abs=1e-12)


def test_recbole() -> None:
    assert recbole(LISTS, TARGETS, (3, 10)) == pytest.approx(RECBOLE_1_2_1, abs=1e-9)


def test_our_ndcg_is_that_of_recbole_and_of_rectools_when_asked_for() -> None:
    ours = per_question(places(LISTS, TARGETS), TARGETS, (3, 10))
    for k in (3, 10):
        ndcg = ours[f"NDCG@{k}"].mean()
        assert ndcg == pytest.approx(RECBOLE_1_2_1[f"ndcg@{k}"], abs=1e-9)
        assert ndcg == pytest.approx(RECTOOLS_0_19_0_ACHIEVABLE[f"NDCG@{k}"], abs=1e-12)


def test_with_one_target_rectools_ndcg_is_smaller_by_the_ideal_of_k_items() -> None:
    targets = Targets.from_lists([[7], [2]])
    lists = LISTS[:2]
    ours = per_question(places(lists, targets), targets, (10,))["NDCG@10"].mean()
    ideal = sum(1 / log2(place + 1) for place in range(1, 11))  # 4.54
    assert rectools(lists, targets)["NDCG@10"] == pytest.approx(ours / ideal)


@pytest.mark.parametrize("library", [recbole, rectools])
def test_lists_that_are_too_short_are_refused(library: object) -> None:
    with pytest.raises(ConfigError, match="the lists have 10 places, too few for k = 20"):
        library(LISTS, TARGETS, (5, 20))  # type: ignore[operator]
