"""Spreading ties: each last code once per prefix, at the least total distance."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.ties import spread_ties


def one_level(points):
    """One level of codewords on a line, before it a level of one codeword at 0."""
    return [np.zeros((1, 1), dtype=np.float32), np.array(points, dtype=np.float32)[:, None]]


def line(points):
    return np.array(points, dtype=np.float32)[:, None]


def test_the_item_that_loses_least_moves():
    # Both items are nearest to codeword 0. Item 0 stays and item 1 goes to 10: 1^2 + 6^2 = 37.
    # The other way round: 9^2 + 4^2 = 97.
    codes_NS = np.array([[0, 0], [0, 0]])
    spread_NS = spread_ties(codes_NS, line([1, 4]).__getitem__, one_level([0, 10]), seed=0)
    assert spread_NS.tolist() == [[0, 0], [0, 1]]
    assert codes_NS.tolist() == [[0, 0], [0, 0]]


def test_prefixes_without_ties_are_not_touched():
    # Items 0 and 1 tie below code 0; item 2 is alone below code 1 and keeps even a bad code.
    codebooks = [line([0, 100]), line([0, 10])]
    codes_NS = np.array([[0, 0], [0, 0], [1, 1]])
    spread_NS = spread_ties(codes_NS, line([1, 4, 100]).__getitem__, codebooks, seed=0)
    assert spread_NS.tolist() == [[0, 0], [0, 1], [1, 1]]


def test_distances_are_those_of_residuals():
    # Below codeword 100, items 101 and 104 leave over 1 and 4: the case of the first test.
    codebooks = [line([100]), line([0, 10])]
    spread_NS = spread_ties(
        np.array([[0, 0], [0, 0]]), line([101, 104]).__getitem__, codebooks, seed=0
    )
    assert spread_NS[:, 1].tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_no_assignment_has_a_smaller_total_distance(seed):
    rng = np.random.default_rng(seed)
    items, words = rng.normal(size=(4, 1)), rng.normal(size=5)
    spread_NS = spread_ties(
        np.zeros((4, 2), dtype=int), items.astype(np.float32).__getitem__, one_level(words), seed
    )
    distance_MK = np.square(items - words)
    total = distance_MK[np.arange(4), spread_NS[:, 1]].sum()
    least = min(distance_MK[np.arange(4), list(codes)].sum() for codes in permutations(range(5), 4))
    assert total == pytest.approx(least, abs=1e-5)
    assert len(set(spread_NS[:, 1].tolist())) == 4


def test_a_prefix_with_more_items_than_codes_keeps_what_its_codes_say():
    # 4 items over 3 codes cannot all be told apart here: each keeps its nearest codeword.
    codes_NS = np.array([[0, 0], [0, 0], [0, 1], [0, 2]])
    items = line([0, 0.1, 1, 2]).__getitem__
    assert np.array_equal(spread_ties(codes_NS, items, one_level([0, 1, 2]), 0), codes_NS)


def test_who_moves_of_equal_items_is_a_matter_of_chance():
    codes_NS = np.zeros((2, 2), dtype=int)
    moved = {
        spread_ties(codes_NS, line([1, 1]).__getitem__, one_level([0, 10]), seed)[0, 1]
        for seed in range(20)
    }
    assert moved == {0, 1}


def test_one_level_alone_is_spread_over_the_whole_catalog():
    spread_NS = spread_ties(
        np.array([[0], [0], [1]]), line([0, 1, 9]).__getitem__, [line([0, 10, 5])], seed=0
    )
    # All three items fight for three codes: 0 -> 0, 1 -> 5 (16) and 9 -> 10 (1) cost 17.
    assert spread_NS[:, 0].tolist() == [0, 2, 1]
    assert len(np.unique(prefix_groups(spread_NS))) == 3
