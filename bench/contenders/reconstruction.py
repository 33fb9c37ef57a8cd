"""What codes are worth, computed in the same way for every tokenizer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LOOKED_AT = 100_000


def quality(
    vectors_ND: np.ndarray, codes_NS: np.ndarray, decode: Callable[[np.ndarray], np.ndarray]
) -> dict[str, float]:
    """The share of the variance that codes lose, and of different tuples among all.

    Args:
        vectors_ND: as coded.
        codes_NS: of all vectors.
        decode: codes to vectors.
    """
    codes_NS = codes_NS.astype(np.int64)
    rows = np.linspace(0, len(vectors_ND) - 1, min(LOOKED_AT, len(vectors_ND))).astype(int)
    x_RD = vectors_ND[rows]
    lost = np.square(x_RD - decode(codes_NS[rows])).sum(dtype=np.float64)
    variance = np.square(x_RD - x_RD.mean(axis=0)).sum(dtype=np.float64)
    key_N = np.zeros(len(codes_NS), dtype=np.int64)
    for code_N in codes_NS.T:
        key_N = key_N * (int(codes_NS.max()) + 1) + code_N
    return {
        "lost": round(float(lost / variance), 4),
        "different": round(len(np.unique(key_N)) / len(key_N), 4),
    }
