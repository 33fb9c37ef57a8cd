"""K-means: k centers such that every vector is near one, found by Lloyd's algorithm in numpy.

The start is greedy k-means++ (Arthur and Vassilvitskii 2007), which spreads the centers out; where
there are many more vectors than centers it looks at a sample of them. Lloyd's rounds then run over
all vectors. Distances come from matrix products over blocks, so a round costs little more than one
product of vectors and centers, in little memory. A center that loses all its vectors is put where
the worst served vector is.

Shapes      N vectors, D width, K centers, T candidates for a center.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from itemlm.sparse import CSR
from itemlm.types import ConfigError, DataError, FloatArray, IntArray

Vectors = npt.NDArray[np.float32]

BLOCK_ELEMENTS = 2**20  # distances held at a time: 4 MB, which a cache still helps with
SAMPLE_PER_CENTER = 16  # vectors that the start looks at, for each center ...
SAMPLE_LEAST = 16_384  # ... but never fewer than this
ROUNDING = 1e-6  # squared distances below this share of the squared lengths are float32 noise


def fit_kmeans(
    x_ND: FloatArray, k: int, seed: int, *, iterations: int = 100, tolerance: float = 1e-4
) -> tuple[Vectors, IntArray]:
    """Centers of k groups of vectors, and the group of each vector.

    Args:
        x_ND: finite vectors.
        k: centers wanted. Fewer come back where fewer than k vectors are distinct.
        seed: of the start; the same seed gives the same centers.
        iterations: most rounds.
        tolerance: stop when a round lowers the inertia (the sum of squared distances to the nearest
            center) by less than this share.

    Returns:
        centers_KD float32, and group_N int64: the nearest center of each vector. No group is empty.

    Raises:
        ConfigError: if `k` or `iterations` is not positive.
        DataError: if there are no vectors or they are not finite.
    """
    if k < 1 or iterations < 1:
        raise ConfigError(f"k-means needs k and iterations of at least 1, not {k}, {iterations}.")
    x_ND = finite_vectors(x_ND)
    rng = np.random.default_rng(seed)
    # Distances from products lose digits far from the origin, so they are taken around the mean.
    centered_ND = x_ND - x_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
    sample = max(SAMPLE_LEAST, SAMPLE_PER_CENTER * k)
    if sample < len(x_ND):
        rows = np.sort(rng.choice(len(x_ND), sample, replace=False))
        centers_KD = spread_out(centered_ND[rows], k, rng)
    else:
        centers_KD = spread_out(centered_ND, k, rng)

    before = math.inf
    for _ in range(iterations):
        group_N, distance_N = nearest(centered_ND, centers_KD)
        inertia = float(distance_N.sum(dtype=np.float64))
        group_N, filled = _fill(centered_ND, centers_KD, group_N, k)
        centers_KD = means(centered_ND, group_N)
        if not filled and before - inertia <= tolerance * inertia:
            break
        before = inertia
    final_N, _ = nearest(centered_ND, centers_KD)
    used_K = np.bincount(final_N, minlength=len(centers_KD)) > 0
    return means(x_ND, group_N)[used_K], (np.cumsum(used_K) - 1)[final_N]


def finite_vectors(x_ND: FloatArray) -> Vectors:
    """The vectors as a contiguous float32 matrix.

    Raises:
        DataError: if they are no matrix, there are none, or one is not finite.
    """
    x_ND = np.ascontiguousarray(x_ND, dtype=np.float32)
    if x_ND.ndim != 2 or 0 in x_ND.shape:
        raise DataError(f"vectors must be a matrix [items, width], not of shape {x_ND.shape}.")
    # A broken value breaks the sum of squares, and so may large ones: those rows are looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(np.einsum("nd,nd->n", x_ND, x_ND)))
    broken = suspects[~np.isfinite(x_ND[suspects]).all(axis=1)]
    if len(broken):
        raise DataError(
            f"{len(broken)} of {len(x_ND)} vectors hold NaN or infinity, first in row "
            f"{broken[0]}; encode the items again."
        )
    return x_ND


def nearest(x_ND: Vectors, centers_KD: Vectors) -> tuple[IntArray, Vectors]:
    """The nearest center of each vector (the lowest of equals) and its squared distance."""
    group_N = np.empty(len(x_ND), dtype=np.int64)
    distance_N = np.empty(len(x_ND), dtype=np.float32)
    length_K = np.einsum("kd,kd->k", centers_KD, centers_KD)
    minus_twice_DK = np.ascontiguousarray(-2 * centers_KD.T)
    for block in blocks(len(x_ND), len(centers_KD)):
        x_bD = x_ND[block]
        score_bK = x_bD @ minus_twice_DK
        score_bK += length_K
        group_N[block] = score_bK.argmin(axis=1)
        least_b = score_bK[np.arange(len(x_bD)), group_N[block]]
        distance_N[block] = np.maximum(least_b + np.einsum("bd,bd->b", x_bD, x_bD), 0)
    return group_N, distance_N


def means(x_ND: Vectors, group_N: IntArray) -> Vectors:
    """[K, D] the mean of each group, summed in float64: that of equal vectors is that vector."""
    counts_K = np.bincount(group_N)
    sums_KD = np.zeros((len(counts_K), x_ND.shape[1]))
    for block in blocks(len(x_ND), x_ND.shape[1]):
        group_b = group_N[block]
        member_bK = CSR(np.arange(len(group_b) + 1), group_b, None, len(counts_K))
        sums_KD += member_bK.transposed() @ x_ND[block].astype(np.float64)
    return (sums_KD / counts_K[:, None]).astype(np.float32)


def moved(centers_KD: Vectors, x_ND: Vectors, group_N: IntArray) -> Vectors:
    """[K, D] the centers at the means of their groups; one without members stays where it is."""
    used, place_N = np.unique(group_N, return_inverse=True)
    moved_KD = centers_KD.copy()
    moved_KD[used] = means(x_ND, place_N)
    return moved_KD


def spread_out(x_ND: Vectors, k: int, rng: np.random.Generator) -> Vectors:
    """At most k of the vectors, far apart: greedy k-means++.

    Each next center is the best of a few candidates, drawn with chances in proportion to their
    squared distance from the centers so far. Stops early when every vector is a center.
    """
    k = min(k, len(x_ND))
    candidates = 2 + int(math.log(k))
    length_N = np.einsum("nd,nd->n", x_ND, x_ND)
    first = int(rng.integers(len(x_ND)))
    chosen = [first]
    distance_N = _distances(x_ND, length_N, np.array([first]))[0]
    while len(chosen) < k:
        cumulative_N = distance_N.cumsum(dtype=np.float64)
        if cumulative_N[-1] == 0:
            break
        drawn_T = np.searchsorted(cumulative_N, rng.random(candidates) * cumulative_N[-1], "right")
        after_TN = np.minimum(_distances(x_ND, length_N, drawn_T), distance_N)
        best = int(after_TN.sum(axis=1, dtype=np.float64).argmin())
        chosen.append(int(drawn_T[best]))
        distance_N = after_TN[best]
        distance_N[chosen[-1]] = 0  # whatever rounding says
    return x_ND[chosen]


def _distances(x_ND: Vectors, length_N: Vectors, rows_T: IntArray) -> Vectors:
    """[T, N] squared distances from some of the vectors to all; rounding noise counts as 0."""
    sum_TN = length_N[rows_T, None] + length_N
    distance_TN = sum_TN - 2 * (x_ND[rows_T] @ x_ND.T)
    distance_TN[distance_TN < ROUNDING * sum_TN] = 0
    return distance_TN


def _fill(x_ND: Vectors, centers_KD: Vectors, group_N: IntArray, k: int) -> tuple[IntArray, bool]:
    """Groups without empty ones, and whether any had to be filled.

    While there are fewer than k groups, the vector farthest from its center begins a new one and
    takes along those that are nearer to it than to theirs.
    """
    used_K = np.bincount(group_N, minlength=len(centers_KD)) > 0
    groups = int(used_K.sum())
    if groups == k:
        return group_N, False
    distance_N = np.square(x_ND - centers_KD[group_N]).sum(axis=1)
    group_N = (np.cumsum(used_K) - 1)[group_N]
    filled = False
    while groups < k and (worst := int(distance_N.argmax())) >= 0 and distance_N[worst] > 0:
        away_N = np.square(x_ND - x_ND[worst]).sum(axis=1)
        nearer_N = away_N < distance_N
        group_N[nearer_N] = groups
        distance_N[nearer_N] = away_N[nearer_N]
        groups, filled = groups + 1, True
    # Taking along may have emptied a group; the next round fills it.
    return np.unique(group_N, return_inverse=True)[1], filled


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices over all rows such that a block of this width has about BLOCK_ELEMENTS elements."""
    size = max(1, BLOCK_ELEMENTS // width)
    for start in range(0, rows, size):
        yield slice(start, start + size)
