"""Children of trie nodes and what is closed among them, against plain Python sets."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from itemlm.retrieve.branches import allowed_before, branches, close, keep_open, used_up
from itemlm.tokenize.trie import Trie
from itemlm.types import QueryBatch

LEVELS = 3
unique_codes = st.sets(st.tuples(*[st.integers(0, 3)] * LEVELS), min_size=1).map(sorted)


def histories_as_batch(histories):
    """Queries from lists of item rows."""
    return QueryBatch(
        offsets=np.cumsum([0, *map(len, histories)]),
        item_rows=np.array([row for history in histories for row in history], dtype=np.int64),
        user_rows=np.full(len(histories), -1),
    )


@given(unique_codes, st.data())
def test_a_branch_is_open_where_an_item_is_left(codes, data):
    rows = st.integers(0, len(codes) - 1)
    histories = data.draw(st.lists(st.lists(rows, max_size=9), min_size=1, max_size=3))
    allowed = data.draw(st.none() | st.sets(rows))
    own = data.draw(st.none() | st.lists(st.sets(rows), min_size=3, max_size=3))
    codes_NL = np.array(codes)[data.draw(st.permutations(range(len(codes))))]
    trie = Trie.build(codes_NL)

    def mask(rows):
        return np.isin(np.arange(len(codes)), list(rows))

    batch = histories_as_batch(histories)
    if allowed is not None:
        batch = replace(batch, allowed_N=mask(allowed))
    if own is not None:
        batch = replace(batch, allowed_BN=np.stack([*map(mask, own)])[: len(histories)])
    levels, before_FN = branches(trie, torch.device("cpu")), allowed_before(batch, trie)
    if before_FN is not None:
        levels = keep_open(levels, trie, before_FN)
    levels = close(levels, used_up(batch, trie, before_FN))

    nodes = [()]  # of a level, in the trie's order
    for depth, level in enumerate(levels):
        children = sorted({code[: depth + 1] for code in codes})
        node_BK = torch.arange(len(nodes)).expand(len(histories), -1)
        child_BKM, code_BKM, bar_BKM = level.below(node_BK)
        for query, (child_KM, code_KM, bar_KM) in enumerate(
            zip(child_BKM, code_BKM, bar_BKM, strict=True)
        ):
            may = set(range(len(codes))) if allowed is None else set(allowed)
            may &= may if own is None else own[query]
            left = {tuple(codes_NL[row, : depth + 1]) for row in may - set(histories[query])}
            for node, child_M, code_M, bar_M in zip(nodes, child_KM, code_KM, bar_KM, strict=True):
                open_M = bar_M == 0
                assert torch.isneginf(bar_M[~open_M]).all()
                found = [(*node, code) for code in code_M[open_M].tolist()]
                assert found == sorted(prefix for prefix in left if prefix[:depth] == node)
                assert found == [children[child] for child in child_M[open_M]]
        nodes = children


def test_worked_example():
    trie = Trie.build(np.array([[5, 1], [5, 7], [9, 1]]))  # items 0, 1, 2; each is its own leaf
    batch = histories_as_batch([[0, 1, 0], [2, 0], []])
    first, second = used_up(batch, trie, None)
    assert first.tolist() == [[0], [1], [-1]]  # below code 5; below code 9; nothing
    assert second.tolist() == [[0, 1], [0, 2], [-1, -1]]
    # Without item 1, item 0 is all there is below code 5.
    allowed_N = np.array([True, False, True])
    first, _ = used_up(batch, trie, allowed_before(replace(batch, allowed_N=allowed_N), trie))
    assert first.tolist() == [[0, -1], [0, 1], [-1, -1]]
    # The first query may get item 1 only, and the second items 0 and 1.
    allowed_BN = np.array([[False, True, False], [True, True, False], [True, True, True]])
    filtered = replace(batch, allowed_BN=allowed_BN)
    before_FN = allowed_before(filtered, trie)
    assert before_FN.tolist() == [[0, 0, 1, 1], [0, 1, 2, 2], [0, 1, 2, 3]]
    first, second = used_up(filtered, trie, before_FN)
    assert first.tolist() == [[0], [-1], [-1]]
    assert second.tolist() == [[1], [0], [-1]]
