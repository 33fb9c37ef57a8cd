"""Behavior vectors: items that the same people take come out close, whatever their texts say.

A singular value decomposition of who took what. A user with many items says less about each of
them, and an item that everybody takes says less about its users, so an entry is divided by the
square roots of both counts (as in spectral clustering, Dhillon, KDD 2001).

Shapes      U users, N items, D width.
"""

from __future__ import annotations

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.encode.lsa import strongest_directions
from itemlm.sparse import CSR
from itemlm.types import DataError, FloatArray


def behavior_vectors(dataset: Dataset, width: int, seed: int = 0) -> FloatArray:
    """[N, D] float32 of length 1, or of length 0 for items without events.

    Args:
        dataset: the training part.
        width: most numbers per vector; fewer where the events span fewer directions.
        seed: of the randomized decomposition.

    Raises:
        DataError: if there are no events.
    """
    sequences = dataset.sequences
    if not len(sequences.item_rows):
        raise DataError(f"'{dataset.name}' has no events to make behavior vectors from.")
    shape = (len(sequences), len(dataset.items))
    taken_UN = CSR.distinct(sequences.user_rows, sequences.item_rows, shape)
    users_N = np.bincount(taken_UN.columns, minlength=len(dataset.items))
    weight_Z = 1 / np.sqrt(taken_UN.sizes[taken_UN.row_of_entry] * users_N[taken_UN.columns])
    weights_UN = CSR(taken_UN.offsets, taken_UN.columns, weight_Z.astype(np.float32), shape[1])
    vectors_ND = strongest_directions(weights_UN, width, seed)
    vectors_ND[users_N == 0] = 0.0
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    unit_ND: FloatArray = np.divide(vectors_ND, lengths_N1, where=lengths_N1 > 0, out=vectors_ND)
    return unit_ND
