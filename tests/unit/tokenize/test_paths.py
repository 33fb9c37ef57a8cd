"""Last codes that tell the items of a box apart."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.tokenize.paths import independent, with_last_codes

BOXES_NS = np.array([[0, 1], [0, 1], [1, -1], [1, -1], [1, 0], [-1, -1]])


def test_items_are_numbered_anew_in_every_box():
    tokens = with_last_codes(BOXES_NS, (2, 2), seed=0)
    codes_NL = tokens.codes_NL
    # Boxes of level 1 are 0 and 1, so its last codes begin at 2; likewise on level 2. Level 3 has
    # no boxes, and its last codes begin at 0.
    assert codes_NL[5].tolist() == [2, -1, -1]
    assert sorted(codes_NL[2:4].tolist()) == [[1, 2, -1], [1, 3, -1]]
    assert codes_NL[4].tolist() == [1, 0, 0]
    assert sorted(codes_NL[:2].tolist()) == [[0, 1, 0], [0, 1, 1]]
    assert tokens.levels == (3, 4, 2)


def test_a_code_of_its_own_is_no_other_items():
    tokens = with_last_codes(BOXES_NS, (2, 2), seed=0, own=True)
    # On level 3 end three items of two boxes: 0, 1 and 2 in some order.
    assert sorted(tokens.codes_NL[[0, 1, 4], 2].tolist()) == [0, 1, 2]
    assert tokens.levels == (3, 4, 3)


def test_shared_codes_have_one_vocabulary():
    tokens = with_last_codes(BOXES_NS, (2, 2), seed=0, shared=True)
    # The codes after the boxes 0 and 1 are 2 and 3 on every level.
    assert tokens.levels == (4, 4, 4)
    assert tokens.shared
    assert sorted(tokens.codes_NL[:2, 2].tolist()) == [2, 3]
    assert tokens.codes_NL[5].tolist() == [2, -1, -1]


def test_the_order_of_last_codes_comes_from_the_seed_and_not_from_the_rows():
    box_N1 = np.zeros((200, 1), dtype=np.int64)
    first, again, other = (with_last_codes(box_N1, (1,), seed) for seed in (0, 0, 1))
    assert (first.codes_NL == again.codes_NL).all()
    assert (first.codes_NL != other.codes_NL).any()
    assert abs(np.corrcoef(first.codes_NL[:, 1], np.arange(200))[0, 1]) < 0.2


def test_independent_codes():
    tokens = independent(7, seed=0)
    assert tokens.levels == (7,)
    assert sorted(tokens.codes_NL[:, 0].tolist()) == list(range(7))
    assert tokens.codes_NL[:, 0].tolist() != list(range(7))


@pytest.mark.parametrize("seed", range(30))
def test_any_boxes_become_unique_paths_that_begin_no_other(seed):
    # `ItemTokens` refuses anything else when it is made.
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, size=rng.integers(1, 4))
    depth_N = rng.integers(0, len(sizes) + 1, size=40)
    paths_NS = np.where(
        np.arange(len(sizes)) < depth_N[:, None], rng.integers(sizes, size=(40, len(sizes))), -1
    )
    for own in (False, True):
        tokens = with_last_codes(paths_NS, sizes.tolist(), seed, own=own)
        assert (tokens.lengths_N == depth_N + 1).all()
        rows = np.arange(40)
        assert (tokens.decode(tokens.encode(rows)) == rows).all()
        assert (
            np.where(paths_NS >= 0, tokens.codes_NL[:, : len(sizes)], -1)[:, : depth_N.max()]
            == paths_NS[:, : depth_N.max()]
        ).all()
