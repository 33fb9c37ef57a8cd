"""Sinkhorn-Knopp: prices at which as many rows want one column as another.

Rows that all go to their cheapest column crowd some columns and leave others empty. Let every
column have a price on top, raised where too many want it and lowered where too few do, and choices
spread out. Here every row spreads itself softly, exp(-(cost + price) / epsilon), which makes the
prices of a round a closed form: a row is scaled to carry 1 / M, then a column to receive 1 / K, in
turns. The smaller epsilon, the harder the choices and the more rounds are needed: a small one is
best reached by way of larger ones, each starting from the prices of the one before.

Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013.

Shapes      M rows, K columns.
"""

from __future__ import annotations

import numpy as np

from itemlm.types import FloatArray

# In halves of the range of costs; the last is LC-Rec's, whose 50 rounds are shared among them.
EPSILONS, ROUNDS = (0.3, 0.1, 0.03, 0.01, 0.003), 10
TINY = 1e-300  # a column that nobody can reach any more keeps a finite price


def even_prices(cost_MK: FloatArray) -> FloatArray:
    """[K] what each column costs more, so that `argmin(cost_MK + price_K)` uses all about evenly.

    By way of EPSILONS, from soft to hard. With the last alone, 50 rounds move prices by little more
    than the first crowd's smallest preference, and most rows stay where they are.
    """
    price_K: FloatArray = np.zeros(cost_MK.shape[1])
    for epsilon in EPSILONS:
        price_K = better_prices(cost_MK, price_K, epsilon, ROUNDS)
    return price_K


def better_prices(
    cost_MK: FloatArray, price_K: FloatArray, epsilon: float, rounds: int
) -> FloatArray:
    """[K] prices after some rounds more.

    Args:
        cost_MK: finite; only differences matter, since costs are scaled to run from -1 to 1.
        price_K: to start from.
        epsilon: softness, on that scale.
        rounds: of scaling rows and columns.
    """
    rows, columns = cost_MK.shape
    half = float(np.ptp(cost_MK)) / 2
    if half == 0:
        return np.zeros(columns)
    # Every row has a largest entry of 1, so that none is rounded to nothing.
    kernel_MK = cost_MK.astype(np.float64)
    kernel_MK -= kernel_MK.min(axis=1, keepdims=True)
    kernel_MK /= -half * epsilon
    np.exp(kernel_MK, out=kernel_MK)
    share_K = np.exp((price_K.min() - price_K) / (half * epsilon))
    for _ in range(rounds):
        carried_M = 1 / (rows * np.maximum(kernel_MK @ share_K, TINY))
        share_K = 1 / (columns * np.maximum(carried_M @ kernel_MK, TINY))
    better_K: FloatArray = -half * epsilon * np.log(share_K)
    return better_K
