"""The flat trie, against a worked example and against plain Python sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlm.tokenize.trie import Trie
from itemlm.types import DataError

CODES_NL = np.array([[9, 1], [5, 7], [5, 1]])  # items 0, 1, 2


def test_worked_example():
    trie = Trie.build(CODES_NL)
    # In code order: (5, 1) item 2, (5, 7) item 1, (9, 1) item 0.
    assert trie.row_of_leaf.tolist() == [2, 1, 0]
    assert trie.leaf_of_row.tolist() == [2, 1, 0]
    first, second = trie.levels
    assert first.codes.tolist() == [5, 9]  # the root's children
    assert first.first_child.tolist() == [0, 2]
    assert first.first_leaf.tolist() == [0, 2, 3]  # two items below 5, one below 9
    assert second.codes.tolist() == [1, 7, 1]
    assert second.first_child.tolist() == [0, 2, 3]
    assert (first.max_children, second.max_children) == (2, 2)


def test_items_with_equal_codes_are_refused():
    with pytest.raises(DataError, match="1 items share their codes"):
        Trie.build(np.array([[1, 2], [3, 4], [1, 2]]))


unique_codes = st.sets(st.tuples(*[st.integers(0, 3)] * 3), min_size=1).map(sorted)


@given(unique_codes, st.randoms())
def test_children_of_every_prefix_match_a_python_trie(codes, random):
    random.shuffle(codes)
    trie = Trie.build(np.array(codes))
    prefixes = [()]
    for depth, level in enumerate(trie.levels):
        children = []
        for node, prefix in enumerate(prefixes):
            span = slice(level.first_child[node], level.first_child[node + 1])
            found = level.codes[span].tolist()
            assert found == sorted({code[depth] for code in codes if code[:depth] == prefix})
            children += [(*prefix, code) for code in found]
        for child, prefix in enumerate(children):
            leaves = slice(level.first_leaf[child], level.first_leaf[child + 1])
            below = {codes[row] for row in trie.row_of_leaf[leaves]}
            assert below == {code for code in codes if code[: depth + 1] == prefix}
        prefixes = children
    assert [codes[row] for row in trie.row_of_leaf] == sorted(codes)
