"""Compressed rows: by hand, and against the same thing with dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from itemlm import sparse
from itemlm.sparse import CSR, blocks, sum_by_key, terms_in_blocks, together

# [[0, 2, 3],
#  [0, 0, 0],
#  [4, 0, 0]]
SMALL = CSR(np.array([0, 2, 2, 3]), np.array([1, 2, 0]), np.array([2.0, 3.0, 4.0]), 3)


def csr_of(dense_RC):
    rows, columns = np.nonzero(dense_RC)
    keys = rows * dense_RC.shape[1] + columns
    return CSR.from_keys(keys, dense_RC[rows, columns].astype(float), dense_RC.shape)


def test_rows_by_hand():
    assert SMALL.shape == (3, 3)
    assert SMALL.sizes.tolist() == [2, 0, 1]
    assert SMALL.row_of_entry.tolist() == [0, 0, 2]
    assert SMALL.toarray().tolist() == [[0, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert SMALL[slice(1, 3)].toarray().tolist() == [[0, 0, 0], [4, 0, 0]]
    assert SMALL.transposed().toarray().tolist() == [[0, 0, 4], [2, 0, 0], [3, 0, 0]]


def test_a_place_named_twice_counts_once_only_if_distinct():
    twice = CSR.distinct(np.array([1, 0, 1]), np.array([0, 1, 0]), (2, 2))
    assert twice.toarray().tolist() == [[0, 1], [1, 0]]
    assert CSR(np.array([0, 2]), np.array([1, 1]), None, 2).toarray().tolist() == [[0, 2]]


def test_product_with_a_dense_matrix_keeps_its_dtype():
    # Row 0: 2 * [1, 1] + 3 * [0, 5]; row 1 is empty; row 2: 4 * [7, 0].
    product = SMALL @ np.array([[7, 0], [1, 1], [0, 5]], dtype=np.float32)
    assert product.tolist() == [[2, 17], [0, 0], [28, 0]]
    assert product.dtype == np.float32


def test_blocks_stay_below_the_limit_where_they_can():
    found = blocks(np.array([3, 3, 5, 9, 0, 1]), 6)
    assert [(rows.start, rows.stop) for rows in found] == [(0, 2), (2, 3), (3, 4), (4, 6)]
    assert list(blocks(np.array([], dtype=int), 6)) == []


@pytest.mark.parametrize("cells", [10, 10_000])  # summed densely, and by sorting
def test_sums_by_key(cells):
    keys, sums = sum_by_key(np.array([7, 2, 7]), np.array([0.5, 1.0, 0.25]), cells)
    assert (keys.tolist(), sums.tolist()) == ([2, 7], [1.0, 0.75])
    keys, sums = sum_by_key(np.array([7, 2, 7]), None, cells)
    assert (keys.tolist(), sums.tolist()) == ([2, 7], [1, 2])


def test_nothing_sums_to_nothing():
    keys, sums = sum_by_key(np.array([], dtype=int), None, 5)
    assert len(keys) == len(sums) == 0


def tables(rows, columns):
    return arrays(np.int64, (rows, columns), elements=st.sampled_from([0, 0, 1, 2]))


@given(tables(5, 4), tables(4, 6), st.integers(1, 30))
def test_terms_add_up_to_the_product(left_RC, right, limit):
    product = np.zeros((5, 6))
    covered = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "TERMS_AT_A_TIME", limit)
        for rows, key_T, weight_T in terms_in_blocks(csr_of(left_RC), csr_of(right)):
            covered += range(rows.start, rows.stop)
            size = (rows.stop - rows.start) * 6
            product[rows] = np.bincount(key_T, weight_T, minlength=size).reshape(-1, 6)
    assert covered == list(range(5))
    np.testing.assert_array_equal(product, left_RC @ right)


@given(tables(5, 4))
def test_dense_round_trip_transpose_and_product(table):
    found = csr_of(table)
    np.testing.assert_array_equal(found.toarray(), table)
    np.testing.assert_array_equal(found.transposed().toarray(), table.T)
    np.testing.assert_array_equal(found @ np.eye(4), table)


shares = st.sampled_from([0.0, 0.3, 1.0])  # all columns are frequent, some, none


@given(tables(5, 4), shares)
def test_the_fast_product_equals_the_plain_one(table, share):
    dense_CW = np.random.default_rng(0).normal(size=(4, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "DENSE_SHARE", share)
        found_RW = csr_of(table).product(dense_CW)
    np.testing.assert_allclose(found_RW, csr_of(table) @ dense_CW, atol=1e-12)


@given(tables(6, 4), shares, st.integers(1, 30))
def test_columns_together(table, share, limit):
    taken = CSR.distinct(*np.nonzero(table), table.shape)
    found_CC = np.zeros((4, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "DENSE_SHARE", share)
        patch.setattr(sparse, "DENSE_CELLS", limit)
        patch.setattr(sparse, "TERMS_AT_A_TIME", limit)
        for columns_B, key_Z, count_Z in together(taken):
            assert (np.diff(key_Z) > 0).all()
            assert (count_Z > 0).all()
            assert (found_CC[columns_B[key_Z // 4], key_Z % 4] == 0).all()
            found_CC[columns_B[key_Z // 4], key_Z % 4] = count_Z
    dense = taken.toarray()
    np.testing.assert_array_equal(found_CC, dense.T @ dense)


def test_lines_side_by_side():
    entry_BT, inside_BT = SMALL.lines(np.array([2, 0, 1]))
    assert inside_BT.tolist() == [[True, False], [True, True], [False, False]]
    assert SMALL.columns[entry_BT[inside_BT]].tolist() == [0, 1, 2]


def test_only_some_columns():
    kept_C = np.array([True, False, True])
    assert SMALL.only(kept_C).toarray().tolist() == [[0, 0, 3], [0, 0, 0], [4, 0, 0]]
    dense_RH = SMALL.only(kept_C).dense(kept_C, np.float32)
    assert dense_RH.tolist() == [[0, 3], [0, 0], [4, 0]]
