"""Rows that are probably near to a vector: faiss's inverted file, for catalogs beyond a million.

Vectors are dealt into lists around centers; a query reads the lists of the nearest centers only.

Shapes      N items, A items with a vector, B queries, D width, C candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from itemlm.types import BoolArray, FloatArray, IntArray

LISTS_READ = 32  # at least, of the inverted file, per query ...
SHARE_READ = 1 / 8  # ... and at least this share of all lists, for a recall of 97 %
TRAINING_PER_LIST = 64  # vectors from which the center of a list is learned


class InvertedFile:
    """Half-precision copies of the first `items` vectors, in lists.

    Copies need not be exact, since candidates are scored again. It never changes: new rows wait
    outside until they are worth a copy of it, so that searches need no lock.
    """

    def __init__(self, library: Any, index: Any, items: int) -> None:
        self._library, self._index, self.items = library, index, items

    @classmethod
    def of(cls, vectors_ND: FloatArray, real_N: BoolArray) -> InvertedFile | None:
        """An index over all vectors but zeros; None without faiss or without vectors."""
        try:
            import faiss
        except ModuleNotFoundError:
            return None
        row_A = np.flatnonzero(real_N)
        if not len(row_A):
            return None
        width, lists = vectors_ND.shape[1], max(1, round(len(row_A) ** 0.5))
        index = faiss.index_factory(width, f"IVF{lists},SQfp16", faiss.METRIC_INNER_PRODUCT)
        sample = np.random.default_rng(0).permutation(row_A)[: TRAINING_PER_LIST * lists]
        index.train(vectors_ND[sample])
        index.add_with_ids(vectors_ND[row_A], row_A)
        return cls(faiss, index, len(vectors_ND))

    def with_rows(self, vectors_ND: FloatArray, real_N: BoolArray) -> InvertedFile:
        """A copy that covers all these rows, of which the first are its own."""
        index = self._library.clone_index(self._index)
        new_A = self.items + np.flatnonzero(real_N[self.items :])
        index.add_with_ids(vectors_ND[new_A], new_A)
        return InvertedFile(self._library, index, len(vectors_ND))

    def candidates(self, queries_BD: FloatArray, count: int) -> IntArray:
        """[B, count] rows that are probably near, -1 beyond the last."""
        read = max(LISTS_READ, int(self._index.nlist * SHARE_READ))
        chosen = self._library.SearchParametersIVF(nprobe=read)
        _, row_BC = self._index.search(queries_BD, count, params=chosen)
        found_BC: IntArray = row_BC
        return found_BC
