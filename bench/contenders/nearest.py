"""What the contenders of `filters` share: vectors, the filter, the true answer and the report."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import common
import numpy as np


def load(asked: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """vectors_ND, queries_BD (the last rows of the file) and allowed_N."""
    everything = np.load(asked["vectors"])
    items = len(everything) - asked["queries"]
    allowed_N = np.random.default_rng(0).permutation(items) < asked["share"] * items
    return everything[:items], everything[items:], allowed_N


def report(
    asked: Mapping[str, Any], search: Callable[[], np.ndarray], versions: tuple[str, ...]
) -> None:
    """Time `search`, which gives rows_BK, and compare its rows with the true ones."""
    vectors_ND, queries_BD, allowed_N = load(asked)
    k, row_A = asked["k"], np.flatnonzero(allowed_N)
    scores_BA = queries_BD @ vectors_ND[row_A].T
    true_BK = row_A[np.argpartition(-scores_BA, min(k, len(row_A)) - 1, axis=1)[:, :k]]
    rows_BK = search()
    found = [np.isin(*pair).mean() for pair in zip(true_BK, rows_BK, strict=True)]
    times = common.seconds(search, repeats=5)
    common.report(
        values={"ms/query": 1e3 * statistics.median(times) / len(queries_BD)},
        quality={"Recall@10": float(np.mean(found))},
        versions=versions,
    )
