"""Answers without the model: items like the last ones, popular ones, items for words.

Shapes      N items, H items of a history, C candidates.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from itemlm.serve.release import Release
from itemlm.serve.schemas import Fallback
from itemlm.types import BoolArray, FloatArray, IntArray

LATEST = 5  # items of a history that say what somebody is after
FUSION = 60  # of reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009, section 3
LEAST_COSINE = 0.05  # below, texts have nothing in common

Rows = tuple[IntArray, FloatArray]  # candidates, best first, and their scores
Reason = Literal["no_history", "model_error", "timeout"]


def like_the_last(
    release: Release, history: IntArray, k: int, allowed_N: BoolArray, reason: Reason
) -> tuple[Rows, Fallback]:
    """Items whose texts are like those of the last of a history; popular ones without any."""
    if release.index is not None and len(history):
        mean_1D = release.index.vectors(history[-LATEST:]).mean(axis=0, keepdims=True)
        found = _nearest(release, mean_1D, k, allowed_N)
        if len(found[0]):
            return found, Fallback(to="item_to_item", reason=reason)
    known = popular(release, k, allowed_N, reason)
    if known is not None:
        return known
    rows = np.flatnonzero(allowed_N)[:k]
    return (rows, np.zeros(len(rows), dtype=np.float32)), Fallback(to="catalog", reason=reason)


def popular(
    release: Release, k: int, allowed_N: BoolArray, reason: Reason
) -> tuple[Rows, Fallback] | None:
    """What most people took; None if that is not known of any item."""
    if not release.counts_N.any():
        return None
    rows = np.flatnonzero(allowed_N)
    counts = release.counts_N[rows]
    best = np.argsort(-counts, kind="stable")[:k]
    return (rows[best], counts[best].astype(np.float32)), Fallback(to="popularity", reason=reason)


def spelled(
    release: Release,
    text: str | None,
    k: int,
    allowed_N: BoolArray,
    by: Literal["words", "meaning", "both"] = "both",
) -> Rows:
    """Items for words: those that have them, those whose texts mean the like, or both fused."""
    words = text or ""
    found = []
    if by != "meaning":
        found.append(release.words.search(words, k, allowed_N))
    if by != "words" and release.index is not None and release.texts is not None and words.strip():
        found.append(_nearest(release, release.texts.of_texts([words]), k, allowed_N))
    if len(found) == 1:
        return found[0]
    return fused(found, k)


def fused(lists: list[Rows], k: int) -> Rows:
    """Reciprocal rank fusion: an item gets 1 / (60 + place) from each list that it is in."""
    score: dict[int, float] = {}
    for rows, _ in lists:
        for place, row in enumerate(rows.tolist(), 1):
            score[row] = score.get(row, 0.0) + 1 / (FUSION + place)
    best = sorted(score, key=lambda row: -score[row])[:k]
    return np.array(best, dtype=np.int64), np.array([score[row] for row in best], dtype=np.float32)


def _nearest(release: Release, vectors_1D: FloatArray, k: int, allowed_N: BoolArray) -> Rows:
    assert release.index is not None
    rows_1K, cosines_1K = release.index.search(vectors_1D, k, allowed_N)
    keep = (rows_1K[0] >= 0) & (cosines_1K[0] > LEAST_COSINE)
    return rows_1K[0][keep], cosines_1K[0][keep]
