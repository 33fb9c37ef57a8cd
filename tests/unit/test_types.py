"""QueryBatch: what is in a history, and what belongs to a window of queries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from itemlm.types import QueryBatch

# Three histories: [4, 0, 4], [], [2].
BATCH = QueryBatch(
    offsets=np.array([0, 3, 3, 4]), item_rows=np.array([4, 0, 4, 2]), user_rows=np.full(3, -1)
)


def test_what_histories_hold():
    query_X = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2]])
    rows_X = np.array([[4, 0, 2, -1], [4, 0, 2, -1], [4, 0, 2, -1]])
    assert BATCH.holds(query_X, rows_X).tolist() == [
        [True, True, False, False],
        [False] * 4,
        [False, False, True, False],
    ]


def test_no_item_is_not_the_last_item_of_the_query_before():
    """As a number, (query 1, no item) is next to (query 0, item 4)."""
    assert not BATCH.holds(np.array([1]), np.array([-1])).any()


def test_items_beyond_those_of_the_histories():
    assert BATCH.holds(np.array([0, 2]), np.array([9, 9])).tolist() == [False, False]


@pytest.mark.parametrize("rows", [[], [3]])
def test_no_histories(rows):
    empty = BATCH[1:2]
    assert empty.holds(np.zeros(len(rows), dtype=int), np.array(rows, dtype=int)).tolist() == [
        False
    ] * len(rows)


def test_a_window_of_a_batch_keeps_what_belongs_to_its_queries():
    allowed_BN = np.eye(len(BATCH), 9, dtype=bool)
    part = replace(BATCH, allowed_BN=allowed_BN, texts=["a", "b", "c"])[1:]
    assert part.allowed_BN.tolist() == allowed_BN[1:].tolist()
    assert part.texts == ["b", "c"]
    assert BATCH[1:].allowed_BN is None
