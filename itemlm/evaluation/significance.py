"""Significance: how far a mean may move by chance, and whether a difference is one.

Two questions of the same user are not independent, so users, not questions, are drawn again
(bootstrap) or have their difference's sign flipped (randomization test). A question whose user is
unknown (row -1) stands for itself.

Sources     Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.
            Smucker, Allan and Carterette, "A Comparison of Statistical Significance Tests for
            Information Retrieval Evaluation", CIKM 2007 (the randomization test).
            Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
Shapes      Q questions, C clusters (users), J columns (a metric of a model), R random draws.
"""

from __future__ import annotations

import numpy as np

from itemlm.types import FloatArray, IntArray

LEVEL = 0.95
BLOCK = 2_000_000  # random numbers made at a time, to bound memory


def clusters(user_rows_Q: IntArray) -> IntArray:
    """[Q] cluster of each question, numbered 0 to C - 1: its user, or itself if unknown."""
    own_Q = user_rows_Q.max(initial=0) + 1 + np.arange(len(user_rows_Q))
    named_Q = np.where(user_rows_Q < 0, own_Q, user_rows_Q)
    return np.unique(named_Q, return_inverse=True)[1].reshape(-1)


def bootstrap_means(
    values_QJ: FloatArray, cluster_Q: IntArray, draws: int, seed: int
) -> FloatArray:
    """means_RJ: the columns' means over questions, in `draws` samples of the clusters.

    Each sample draws C clusters with replacement; all columns see the same samples, so differences
    of columns are paired.
    """
    sums_CJ, count_C = _by_cluster(values_QJ, cluster_Q)
    many = len(count_C)
    generator = np.random.default_rng([seed, many])
    blocks = []
    for size in _blocks(draws, many):
        drawn_RC = generator.integers(many, size=(size, many), dtype=np.int64)
        drawn_RC += np.arange(size)[:, None] * many
        times_RC = np.bincount(drawn_RC.ravel(), minlength=size * many).reshape(size, many)
        times_RC = times_RC.astype(np.float64)
        blocks.append((times_RC @ sums_CJ) / (times_RC @ count_C)[:, None])
    return np.concatenate(blocks)


def interval(means_RJ: FloatArray, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Percentile interval of each column: low_J and high_J."""
    low_J, high_J = np.quantile(means_RJ, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low_J, high_J


def sign_flip_p_values(
    differences_QJ: FloatArray, cluster_Q: IntArray, flips: int, seed: int
) -> FloatArray:
    """p_J of the paired randomization test, two-sided, for a mean difference of 0.

    If two models were equally good, each user's difference could as well have the other sign. The
    p-value is the share of random sign patterns whose total is at least as far from 0 as the one
    seen, the one seen included: (1 + as far) / (1 + flips). It is never below 1 / (1 + flips).
    """
    sums_CJ, _ = _by_cluster(differences_QJ, cluster_Q)
    sums_CJ = sums_CJ[(sums_CJ != 0).any(axis=1)]  # a difference of 0 has no sign to flip
    many = len(sums_CJ)
    if many == 0:
        return np.ones(differences_QJ.shape[1])
    seen_J = np.abs(sums_CJ.sum(axis=0))
    rounding_J = 1e-12 * np.abs(sums_CJ).sum(axis=0)
    generator = np.random.default_rng([seed, many])
    as_far_J = np.zeros(len(seen_J), dtype=np.int64)
    for size in _blocks(flips, many):
        packed = np.frombuffer(generator.bytes(-(-size * many // 8)), dtype=np.uint8)
        kept_RC = np.unpackbits(packed, count=size * many).reshape(size, many).astype(np.float64)
        total_RJ = 2 * (kept_RC @ sums_CJ) - sums_CJ.sum(axis=0)
        as_far_J += (np.abs(total_RJ) >= seen_J - rounding_J).sum(axis=0)
    return (1 + as_far_J) / (1 + flips)


def holm(p_values: FloatArray) -> FloatArray:
    """Holm's correction: the smallest of m p-values times m, the next times m - 1, and so on.

    A corrected value never falls below that of a smaller p-value, nor exceeds 1.
    """
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * factors))
    return corrected


def _by_cluster(values_QJ: FloatArray, cluster_Q: IntArray) -> tuple[FloatArray, FloatArray]:
    """Sums of the columns and number of questions, per cluster."""
    count_C = np.bincount(cluster_Q)
    order = np.argsort(cluster_Q, kind="stable")
    starts_C = np.cumsum(count_C) - count_C
    return np.add.reduceat(values_QJ[order], starts_C, axis=0), count_C.astype(np.float64)


def _blocks(draws: int, width: int) -> list[int]:
    """How many draws of `width` numbers to make at a time."""
    size = max(1, BLOCK // max(width, 1))
    return [min(size, draws - start) for start in range(0, draws, size)]
