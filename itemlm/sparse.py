"""Sparse matrices in plain numpy: compressed rows, and the few products that models need of them.

Most tables of a recommender are nearly empty: who took what, which word stands in which text, which
items resemble each other. `CSR` keeps what is there, row after row. Products of two such tables are
handed out as terms, a block of rows at a time, and the caller adds them up as it likes: into a
dense block with `np.bincount`, or with `sum_by_key` where even a dense block would be mostly empty.

Few columns hold most entries, since few items are popular. `CSR.product` and `together` do their
part of the work with dense matrices, at twenty times as many multiplications a second or more.

Shapes      R rows, C columns, Z stored entries, T terms of a product, W width of a dense matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from itemlm.order import first_of_run, stable_order
from itemlm.types import BoolArray, FloatArray, IntArray

TERMS_AT_A_TIME = 2**18  # their arrays take about 10 MB, half of which a cache holds
DENSE_SHARE = 1 / 50  # a column that more rows than this hold is cheaper to multiply densely
DENSE_CELLS = 2**24  # of dense columns, made from rows at a time: 64 MB
CELLS_PER_ENTRY = 8  # a dense sum over more cells than this per entry costs more than sorting


@dataclass(frozen=True, eq=False, slots=True)
class CSR:
    """A matrix as compressed sparse rows. A row may hold a column twice: its values add up.

    Attributes:
        offsets: [R + 1] row r owns entries offsets[r]:offsets[r + 1].
        columns: [Z] column of each entry.
        values: [Z] value of each entry; None: all are 1.
        width: C.
    """

    offsets: IntArray
    columns: IntArray
    values: FloatArray | None
    width: int

    @classmethod
    def distinct(cls, row_E: IntArray, column_E: IntArray, shape: tuple[int, int]) -> CSR:
        """1 at each of these places, however often it is named."""
        key_E = np.sort(row_E.astype(np.int64) * shape[1] + column_E)
        return cls.from_keys(key_E[first_of_run(key_E)], None, shape)

    @classmethod
    def from_keys(cls, key_Z: IntArray, value_Z: FloatArray | None, shape: tuple[int, int]) -> CSR:
        """From ascending keys, row * C + column."""
        rows, width = shape
        row_Z, column_Z = np.divmod(key_Z, max(width, 1))
        return cls(_offsets(row_Z, rows), column_Z, value_Z, width)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """R and C."""
        return len(self), self.width

    @property
    def sizes(self) -> IntArray:
        """[R] entries of each row."""
        return np.diff(self.offsets)

    @property
    def row_of_entry(self) -> IntArray:
        """[Z] the row that each entry belongs to."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @property
    def weights(self) -> FloatArray:
        """[Z] the values, also where all are 1."""
        return np.ones(len(self.columns)) if self.values is None else self.values

    def __getitem__(self, rows: slice) -> CSR:
        """Consecutive rows; nothing is copied but offsets."""
        offsets = self.offsets[rows.start : rows.stop + 1]
        inside = slice(offsets[0], offsets[-1])
        values = None if self.values is None else self.values[inside]
        return CSR(offsets - offsets[0], self.columns[inside], values, self.width)

    def transposed(self) -> CSR:
        """[C, R] rows and columns exchanged."""
        order_Z = stable_order(self.columns)
        values = None if self.values is None else self.values[order_Z]
        return CSR(
            _offsets(self.columns, self.width), self.row_of_entry[order_Z], values, len(self)
        )

    def only(self, kept_C: BoolArray) -> CSR:
        """The same rows with the entries of these columns alone."""
        kept_Z = kept_C[self.columns]
        kept_before = np.concatenate([[0], np.cumsum(kept_Z)])
        values = None if self.values is None else self.values[kept_Z]
        return CSR(kept_before[self.offsets], self.columns[kept_Z], values, self.width)

    def lines(self, rows_B: IntArray) -> tuple[IntArray, BoolArray]:
        """Some rows side by side, as wide as the longest of them.

        Returns:
            entry_BT, the place of each entry in `columns`, and inside_BT, whether there is one.
        """
        sizes_B = self.sizes[rows_B]
        place_T = np.arange(sizes_B.max(initial=0))
        inside_BT = place_T < sizes_B[:, None]
        return np.where(inside_BT, self.offsets[rows_B][:, None] + place_T, 0), inside_BT

    def toarray(self) -> FloatArray:
        """[R, C] dense, float64."""
        key_Z = self.row_of_entry * self.width + self.columns
        dense_RC = np.bincount(key_Z, self.values, minlength=len(self) * self.width)
        return dense_RC.reshape(self.shape).astype(np.float64)

    def __matmul__(self, dense_CW: FloatArray) -> FloatArray:
        """[R, W] product with a dense matrix, in its dtype.

        Every row is computed by itself, so equal rows give equal results wherever they stand.
        """
        product_RW = np.zeros((len(self), dense_CW.shape[1]), dtype=dense_CW.dtype)
        values = self.weights.astype(dense_CW.dtype, copy=False)
        for row, (start, stop) in enumerate(pairwise(self.offsets.tolist())):
            if start < stop:
                lines_zW = dense_CW[self.columns[start:stop]]
                np.matmul(values[start:stop], lines_zW, out=product_RW[row])
        return product_RW

    def product(self, dense_CW: FloatArray) -> FloatArray:
        """`self @ dense_CW`, in half the time where rows share columns.

        The last digits of a row may depend on the rows beside it.
        """
        frequent_C = np.bincount(self.columns, minlength=self.width) > DENSE_SHARE * len(self)
        product_RW = self.only(frequent_C).dense(frequent_C, dense_CW.dtype) @ dense_CW[frequent_C]
        rest = self.only(~frequent_C)
        if len(rest.columns):
            product_RW += rest @ dense_CW
        return product_RW

    def dense(self, kept_C: BoolArray, dtype: DTypeLike) -> FloatArray:
        """[R, H] the marked columns, dense; entries of other columns must not be there."""
        place_C = np.cumsum(kept_C) - 1
        dense_RH = np.zeros((len(self), int(kept_C.sum())), dtype=dtype)
        np.add.at(dense_RH, (self.row_of_entry, place_C[self.columns]), self.weights.astype(dtype))
        return dense_RH


def together(taken_RC: CSR) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """In how many rows each two columns stand together: `taken`, transposed, times itself.

    Frequent columns are multiplied densely with each other. For each of the others, the rows that
    hold it are strung together and counted, which also gives its part of the frequent ones. Memory
    is that of some blocks, and 4 bytes for each pair of a frequent column and any column.

    Args:
        taken_RC: every value is 1, and no place is named twice.

    Yields:
        columns_B, key_Z and count_Z: some columns; ascending keys, place in columns_B * C + other
        column; and the positive counts. A column may come with no keys, and again with them.
    """
    columns = taken_RC.width
    frequent_C = np.bincount(taken_RC.columns, minlength=columns) > DENSE_SHARE * len(taken_RC)
    frequent_H, place_C = np.flatnonzero(frequent_C), np.cumsum(frequent_C) - 1
    counts_HC = np.zeros((len(frequent_H), columns), dtype=np.float32)
    counts_HC[:, frequent_H] = _gram(taken_RC.only(frequent_C), frequent_C)

    holders_CR = taken_RC.only(~frequent_C).transposed()
    row_views = np.split(taken_RC.columns, taken_RC.offsets[1:-1])
    terms_Z = taken_RC.sizes[holders_CR.columns]
    terms_before = np.concatenate([[0], np.cumsum(terms_Z)])[holders_CR.offsets]
    terms_C = np.diff(terms_before)
    for block in blocks(terms_C, TERMS_AT_A_TIME):
        size = block.stop - block.start
        holding = [row_views[row] for row in holders_CR[block].columns.tolist()]
        key_T = np.repeat(np.arange(size) * columns, terms_C[block])
        key_T += np.concatenate([*holding, key_T[:0]])
        key_Z, count_Z = sum_by_key(key_T, None, size * columns)
        line_Z, other_Z = np.divmod(key_Z, columns)
        mirrored_Z = frequent_C[other_Z]
        counts_HC[place_C[other_Z[mirrored_Z]], line_Z[mirrored_Z] + block.start] = count_Z[
            mirrored_Z
        ]
        yield np.arange(block.start, block.stop), key_Z, count_Z

    for block in blocks(np.full(len(frequent_H), columns), TERMS_AT_A_TIME):
        counts_hC = counts_HC[block].reshape(-1)
        key_Z = np.flatnonzero(counts_hC)
        yield frequent_H[block], key_Z, counts_hC[key_Z]


def _gram(taken_RC: CSR, kept_C: BoolArray) -> FloatArray:
    """[H, H] the products of the marked columns with each other."""
    kept = int(kept_C.sum())
    gram_HH = np.zeros((kept, kept), dtype=np.float32)
    for rows in blocks(np.full(len(taken_RC), kept), DENSE_CELLS):
        dense_rH = taken_RC[rows].dense(kept_C, np.float32)
        gram_HH += dense_rH.T @ dense_rH
    return gram_HH


def terms(left_RC: CSR, right: CSR) -> tuple[IntArray, FloatArray | None]:
    """All terms of the product of two sparse matrices, before equal places are added up.

    Returns:
        key_T, row * width + column in the product, in order of rows; and weight_T, None where all
        are 1.
    """
    repeat_Z = right.sizes[left_RC.columns]
    # The entries of each row of the right that is called for, one row after the other.
    before_Z = np.cumsum(repeat_Z) - repeat_Z
    entry_T = np.repeat(right.offsets[left_RC.columns] - before_Z, repeat_Z)
    entry_T += np.arange(len(entry_T))
    key_T = np.repeat(left_RC.row_of_entry * right.width, repeat_Z)
    key_T += right.columns[entry_T]
    weight_T = None if right.values is None else right.values[entry_T]
    if left_RC.values is not None:
        factor_T = np.repeat(left_RC.values, repeat_Z)
        weight_T = factor_T if weight_T is None else factor_T * weight_T
    return key_T, weight_T


def terms_in_blocks(
    left_RC: CSR, right: CSR
) -> Iterator[tuple[slice, IntArray, FloatArray | None]]:
    """`terms`, a block of rows at a time; rows in a key count from the start of the block.

    Memory is 40 bytes for each of TERMS_AT_A_TIME terms, or of the terms of the longest row if
    these are more. For the pairs of items that stand together in histories (the product of "taken"
    transposed and "taken") a row cannot have more terms than there are events.
    """
    terms_before = np.concatenate([[0], np.cumsum(right.sizes[left_RC.columns])])
    for rows in blocks(np.diff(terms_before[left_RC.offsets]), TERMS_AT_A_TIME):
        yield rows, *terms(left_RC[rows], right)


def blocks(cost_R: IntArray, limit: int) -> Iterator[slice]:
    """Consecutive rows that together cost no more than the limit; one row where it alone does."""
    total_R = np.cumsum(cost_R)
    start, spent = 0, 0
    while start < len(cost_R):
        stop = max(start + 1, int(np.searchsorted(total_R, spent + limit, side="right")))
        yield slice(start, stop)
        start, spent = stop, int(total_R[stop - 1])


def sum_by_key(
    key_E: IntArray, weight_E: FloatArray | None, cells: int
) -> tuple[IntArray, FloatArray]:
    """The sum of the positive weights of each key.

    Args:
        key_E: each in [0, cells).
        weight_E: None: all are 1.
        cells: how many keys there could be.

    Returns:
        the distinct keys in ascending order, and their sums in float64. Weights of one key are
        added in the order given, so the sums do not depend on which other keys there are.
    """
    if cells <= CELLS_PER_ENTRY * len(key_E):
        sums = np.bincount(key_E, weight_E, minlength=cells)
        keys = np.flatnonzero(sums)
        return keys, sums[keys].astype(np.float64, copy=False)
    order_E = np.argsort(key_E, kind="stable")
    sorted_E = key_E[order_E]
    first_E = first_of_run(sorted_E)
    group_E = np.cumsum(first_E) - 1
    sums = np.bincount(group_E, None if weight_E is None else weight_E[order_E])
    return sorted_E[first_E], sums.astype(np.float64, copy=False)


def _offsets(row_Z: IntArray, rows: int) -> IntArray:
    """[R + 1] where the entries of each row start, once they are sorted by row."""
    return np.concatenate([[0], np.cumsum(np.bincount(row_Z, minlength=rows))])
