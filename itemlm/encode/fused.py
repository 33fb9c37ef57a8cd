"""Fused vectors: several vectors of an item as one, so that codes can say something of each.

Content says what an item is, behavior who takes it, a search-tuned encoder what it is asked for.
Every set is brought to length 1 first, so that none outweighs the others by its scale alone.

    concatenated    side by side: products are the sums of the products of each set
    added           the wider sets reduced by SVD to the width of the narrowest, then summed: as
                    short as the narrowest, but values of different sets are mixed up

Both as compared by Penha et al., "Semantic IDs for joint generative search and recommendation",
RecSys 2025, arXiv:2508.10478.

Shapes      N items, D width of the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itemlm.types import ConfigError, DataError, FloatArray


def concatenated(
    vector_sets: Sequence[FloatArray], weights: Sequence[float] | None = None
) -> FloatArray:
    """[N, D] float32 of length 1 (0 where an item has none), all sets side by side.

    Args:
        vector_sets: each [N, its width].
        weights: of the sets' lengths; all the same if None.

    Raises:
        ConfigError: if there is not one positive weight per set.
        DataError: if there are no sets, or they are not of the same items.
    """
    weights = weights or [1.0] * len(vector_sets)
    if len(weights) != len(vector_sets) or min(weights, default=1) <= 0:
        raise ConfigError(f"{len(vector_sets)} sets need as many positive weights, not {weights}.")
    units = _units_of(vector_sets)
    return _units(np.hstack([unit * weight for unit, weight in zip(units, weights, strict=True)]))


def added(vector_sets: Sequence[FloatArray]) -> FloatArray:
    """[N, D] float32 of length 1 (0 where an item has none), as wide as the narrowest set.

    Raises:
        DataError: if there are no sets, or they are not of the same items.
    """
    units = _units_of(vector_sets)
    width = min(unit.shape[1] for unit in units)
    narrow = [unit if unit.shape[1] == width else _units(_reduced(unit, width)) for unit in units]
    return _units(np.sum(narrow, axis=0))


def _reduced(x_ND: FloatArray, width: int) -> FloatArray:
    """The values along the directions in which vectors are strongest, signs chosen for good."""
    _, direction_DD = np.linalg.eigh(x_ND.T @ x_ND)
    strongest_DW = direction_DD[:, ::-1][:, :width]
    largest_W = strongest_DW[np.abs(strongest_DW).argmax(axis=0), np.arange(width)]
    reduced_NW: FloatArray = x_ND @ (strongest_DW * np.sign(largest_W))
    return reduced_NW


def _units_of(vector_sets: Sequence[FloatArray]) -> list[FloatArray]:
    counts = {len(vectors_ND) for vectors_ND in vector_sets}
    if len(counts) != 1:
        raise DataError(f"vectors to fuse must be of the same items, not of {sorted(counts)}.")
    return [_units(vectors_ND) for vectors_ND in vector_sets]


def _units(x_ND: FloatArray) -> FloatArray:
    length_N1 = np.linalg.norm(x_ND, axis=1, keepdims=True)
    unit_ND = np.divide(x_ND, length_N1, out=np.zeros_like(x_ND), where=length_N1 > 0)
    as_float: FloatArray = unit_ND.astype(np.float32)
    return as_float
