"""Conventions: what other libraries would have printed for the same lists.

Libraries give different numbers the same name. On one target per question, RecTools' default
NDCG@10 is 4.54 times smaller than everyone else's. These adapters compute a figure as the other
library defines it, so that a number of theirs can be checked before it is compared with ours:

    answers = report["sasrec"].lists[0]
    rectools(answers, Targets.of(split.test), ks=(10,))["NDCG@10"]

They cover the metric, not what came before it. RecBole also leaves items of the history in the
lists of its sequential models, which we never do.

Shapes      Q questions, K places in a list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itemlm.evaluation.metrics import (
    Targets,
    average_precision,
    hit_rate,
    hits,
    mrr,
    ndcg,
    places,
    precision,
    recall,
)
from itemlm.types import ConfigError, IntArray


def recbole(lists_QK: IntArray, targets: Targets, ks: Sequence[int] = (10,)) -> dict[str, float]:
    """Top-k metrics under RecBole 1.2.1's names and definitions, unrounded.

    All agree with ours but MAP, which divides by min(k, targets) where we divide by all targets.
    RecBole itself rounds to `metric_decimal_place`, 4 by default.

    Raises:
        ConfigError: if a cut-off is longer than the lists.
    """
    hits_QK = _hits(lists_QK, targets, ks)
    found: dict[str, float] = {}
    for k in ks:
        at_k = hits_QK[:, :k]
        found |= {
            f"recall@{k}": float(recall(at_k, targets.count_Q).mean()),
            f"mrr@{k}": float(mrr(at_k, targets.count_Q).mean()),
            f"ndcg@{k}": float(ndcg(at_k, targets.count_Q).mean()),
            f"hit@{k}": float(hit_rate(at_k, targets.count_Q).mean()),
            f"precision@{k}": float(precision(at_k, targets.count_Q).mean()),
            f"map@{k}": float(average_precision(at_k, np.minimum(targets.count_Q, k)).mean()),
        }
    return found


def rectools(lists_QK: IntArray, targets: Targets, ks: Sequence[int] = (10,)) -> dict[str, float]:
    """Metrics of RecTools 0.19.0 with the default arguments of its classes.

    NDCG divides by the ideal of k relevant items, however few there are; with RecTools'
    `divide_by_achievable=True` it agrees with ours. F1Beta is the harmonic mean of Precision and
    Recall of each user. The rest agrees with ours.

    Raises:
        ConfigError: if a cut-off is longer than the lists.
    """
    hits_QK = _hits(lists_QK, targets, ks)
    found: dict[str, float] = {}
    for k in ks:
        at_k = hits_QK[:, :k]
        precision_Q = precision(at_k, targets.count_Q)
        recall_Q = recall(at_k, targets.count_Q)
        both_Q = precision_Q + recall_Q
        f1_Q = np.divide(
            2 * precision_Q * recall_Q, both_Q, out=np.zeros_like(both_Q), where=both_Q > 0
        )
        found |= {
            f"Precision@{k}": float(precision_Q.mean()),
            f"Recall@{k}": float(recall_Q.mean()),
            f"F1Beta@{k}": float(f1_Q.mean()),
            f"HitRate@{k}": float(hit_rate(at_k, targets.count_Q).mean()),
            f"MRR@{k}": float(mrr(at_k, targets.count_Q).mean()),
            f"MAP@{k}": float(average_precision(at_k, targets.count_Q).mean()),
            f"NDCG@{k}": float(ndcg(at_k, np.full(len(targets), k)).mean()),
        }
    return found


def _hits(
    lists_QK: IntArray, targets: Targets, ks: Sequence[int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    if max(ks) > lists_QK.shape[1]:
        raise ConfigError(f"the lists have {lists_QK.shape[1]} places, too few for k = {max(ks)}.")
    return hits(places(lists_QK, targets), targets, max(ks))
