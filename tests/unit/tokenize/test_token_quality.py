"""Quality of tokens: every measure on catalogs small enough to count by hand."""

from __future__ import annotations

import io
import json
from math import exp, log

import numpy as np
import pytest
from rich.console import Console

from itemlm.data.sequences import Sequences
from itemlm.tokenize import neighbors
from itemlm.tokenize import quality as module
from itemlm.tokenize.neighbors import company, nearest_neighbors
from itemlm.tokenize.quality import quality
from itemlm.tokenize.quantizer import Quantizer
from itemlm.tokenize.random_ids import random_tokens
from itemlm.tokenize.residual_kmeans import residual_kmeans
from itemlm.tokenize.tokens import ItemTokens, unique
from itemlm.types import DataError


def six_items():
    """Semantic codes a a b c c c, as (0, 0), (0, 1) and (1, 0), with sizes 2 and 4."""
    codes_NS = np.array([[0, 0], [0, 0], [0, 1], [1, 0], [1, 0], [1, 0]])
    return unique(codes_NS, (2, 4), seed=0, spare=0)


def test_collisions():
    result = quality(six_items())
    assert result.unique_prefixes == 3
    assert result.sharing == pytest.approx(5 / 6)  # all but b
    assert result.largest_group == 3
    assert result.levels == (2, 4, 4)


def test_usage_of_each_level():
    # Level 1: code 0 three times, code 1 three times. Level 2: codes 0 and 1 of 4, five and once.
    result = quality(six_items())
    # The last code is 0 for one of a, b and c each, 1 for one of a and c, 2 for one of c; 4 codes.
    assert result.usage == (1.0, 0.5, 0.75)
    entropy = -(5 / 6 * log(5 / 6) + 1 / 6 * log(1 / 6))
    last = -(3 / 6 * log(3 / 6) + 2 / 6 * log(2 / 6) + 1 / 6 * log(1 / 6))
    assert result.perplexity == pytest.approx((2.0, exp(entropy), exp(last)))
    # Counts 0, 0, 1, 5 in order: 2 * (1*0 + 2*0 + 3*1 + 4*5) / (4 * 6) - (4 + 1) / 4 = 2/3, and
    # 0, 1, 2, 3: 2 * (2*1 + 3*2 + 4*3) / (4 * 6) - 5/4 = 5/12.
    assert result.gini == pytest.approx((0.0, 2 / 3, 5 / 12))
    assert result.reach == (1.0, 1.0, 1.0)
    # Of 2 + 4 + 4 codes, 2 + 2 + 3 are some item's.
    assert (result.vocabulary, result.used, result.length) == (10, 0.7, 3.0)


def test_chance_of_sharing_a_prefix():
    # Pairs of different items: 15. Sharing code 1: 3 + 3; sharing both codes: 1 (aa) + 3 (ccc).
    assert quality(six_items()).chance == pytest.approx((6 / 15, 4 / 15))


def test_agreement_of_neighbors(monkeypatch):
    monkeypatch.setattr(module, "NEIGHBORS", 1)
    # Directions at 0, 1, 10 and 11 degrees: nearest pairs are 0-1 and 2-3.
    angle_N = np.radians([0, 1, 10, 11])
    vectors_ND = np.column_stack([np.cos(angle_N), np.sin(angle_N)])
    tokens = unique(np.array([[0, 0], [0, 1], [1, 0], [0, 0]]), (2, 2), seed=0)
    # Code 1: items 0 and 1 agree with their neighbors, 2 and 3 do not. Both codes: nobody does.
    assert quality(tokens, vectors_ND).agreement == (0.5, 0.0)


def test_variance_lost():
    # Directions (1, 0), (1, 0), (-1, 0), (0, 1); mean (0.25, 0.25). Squared distances to the mean:
    # 2 * (0.5625 + 0.0625) + (1.5625 + 0.0625) + (0.0625 + 0.5625) = 3.5.
    vectors_ND = np.array([[2.0, 0], [1, 0], [-3, 0], [0, 5]])
    quantizer = Quantizer(
        mean_D=np.zeros(2),
        scale_D=np.ones(2),
        codebooks=(np.array([[1.0, 0], [-1, 0]]), np.array([[0.0, 0], [-1, 1]])),
    )
    codes_NS = np.array([[0, 0], [0, 0], [1, 0], [0, 1]])
    tokens = unique(codes_NS, (2, 2), seed=0, quantizer=quantizer)
    # After one code only the last item is wrong, restored as (1, 0): 1 + 1 = 2. After two, none.
    assert quality(tokens, vectors_ND).lost == pytest.approx((2 / 3.5, 0))


def test_vectors_of_another_encoder_measure_agreement_only():
    tokens = residual_kmeans(np.eye(4), codes=2)
    other = quality(tokens, np.ones((4, 7)))
    assert other.lost is None
    assert other.agreement is not None


def test_neighbors_match_brute_force_in_blocks(monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK_ELEMENTS", 300)  # blocks of 5 items
    direction_ND = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    direction_ND /= np.linalg.norm(direction_ND, axis=1, keepdims=True)
    rows_Q, neighbors_QK = nearest_neighbors(direction_ND, 7, sample=20, seed=0)
    assert len(set(rows_Q.tolist())) == 20
    for row, neighbors_K in zip(rows_Q, neighbors_QK, strict=True):
        others = [item for item in range(60) if item != row]
        best = sorted(others, key=lambda item: -float(direction_ND[item] @ direction_ND[row]))[:7]
        assert set(neighbors_K.tolist()) == set(best)


def test_items_without_a_direction_are_nobodys_neighbors():
    direction_ND = np.array([[0, 0], [1, 0], [0, 0], [0, 1]], dtype=np.float32)
    rows_Q, neighbors_QK = nearest_neighbors(direction_ND, 10, sample=10, seed=0)
    assert rows_Q.tolist() == [1, 3]
    assert neighbors_QK.tolist() == [[3], [1]]
    assert quality(random_tokens(3), np.zeros((3, 2))).agreement == (0.0, 0.0, 0.0)


def test_random_codes_agree_as_often_as_chance_and_fitted_ones_far_more():
    rng = np.random.default_rng(0)
    vectors_ND = rng.normal(size=(20, 8))[rng.integers(20, size=500)]
    vectors_ND = vectors_ND + 0.1 * rng.normal(size=(500, 8))
    fitted = quality(residual_kmeans(vectors_ND, codes=20), vectors_ND)
    control = quality(random_tokens(500, codes=20), vectors_ND)
    assert fitted.agreement[0] > 0.9
    assert control.agreement[0] == pytest.approx(control.chance[0], abs=0.02)
    assert control.lost is None


def test_it_is_a_json_record_and_a_table():
    result = quality(six_items(), np.eye(6))
    assert json.loads(json.dumps(result.to_dict()))["unique_prefixes"] == 3
    text = io.StringIO()
    Console(file=text, width=100).print(result)
    assert "codes used" in text.getvalue()
    assert "83.3% of items share" in text.getvalue()
    assert "variance lost" not in text.getvalue()  # there are no codebooks


def test_one_vector_per_item_is_asked_for():
    with pytest.raises(DataError, match="6 items but 5 vectors"):
        quality(six_items(), np.eye(5))


def test_one_item_and_one_level_are_measured_too():
    alone = quality(ItemTokens(np.array([[0]]), (1,)), np.ones((1, 2)))
    assert (alone.items, alone.unique_prefixes, alone.usage, alone.chance) == (1, 1, (1.0,), ())
    assert (alone.agreement, alone.halvings) == ((), {"agreement": 0.0})
    # Four items with a code each are all siblings: their paths without the last code are empty.
    one_level = quality(ItemTokens(np.array([[0], [1], [2], [3]]), (5,)))
    assert (one_level.unique_prefixes, one_level.sharing, one_level.largest_group) == (1, 1.0, 4)
    assert (one_level.used, one_level.perplexity) == (0.8, (pytest.approx(4.0),))


def test_paths_of_different_length_are_measured_where_they_are():
    # Two items below 0, one below 1 that ends, two of three codes below (1, 1).
    codes_NL = np.array([[0, 0, -1], [0, 1, -1], [1, 0, -1], [1, 1, 0], [1, 1, 1]])
    result = quality(ItemTokens(codes_NL, (2, 2, 2)))
    assert result.reach == (1.0, 1.0, 0.4)
    assert result.length == pytest.approx((2 + 2 + 2 + 3 + 3) / 5)
    # Without the last code: (0) twice, (1) once, (1, 1) twice.
    assert (result.unique_prefixes, result.sharing, result.largest_group) == (3, 0.8, 2)
    assert result.perplexity == pytest.approx((exp(0.6730117), exp(0.6730117), 2.0))
    # Pairs with the same first code: 1 + 3 of 10; with the same two: 1.
    assert result.chance == pytest.approx((0.4, 0.1))


def test_codes_that_all_levels_share_count_once():
    codes_NL = np.array([[0, 3, -1], [0, 1, 3], [1, 0, 3]])
    result = quality(ItemTokens(codes_NL, (5,) * 3, shared=True))
    assert (result.vocabulary, result.used) == (5, 0.6)  # codes 0, 1 and 3


def test_halvings_of_the_catalog():
    # Nine items: four below (0, 0), four below (0, 1), one below (1, 0).
    codes_NL = np.array([[0, 0, n] for n in range(4)] + [[0, 1, n] for n in range(4)] + [[1, 0, 0]])
    pairs = (np.array([0, 0, 0]), np.array([1, 4, 8]))
    prefixes = [np.zeros(9, int), codes_NL[:, 0], codes_NL[:, 0] * 2 + codes_NL[:, 1]]
    # Of 8 others, 3 share both codes with the first pair, 7 one code with the second, none ...
    expected = (np.log2(8 / 3) + np.log2(8 / 7) + np.log2(8 / 8)) / 3
    assert module._halvings(pairs, prefixes) == pytest.approx(expected)
    assert module._shares(pairs, prefixes) == pytest.approx((2 / 3, 1 / 3))


def test_purity_of_categories():
    codes_NL = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]])
    paths = [("hair", "wax"), ("hair", "wax"), ("hair", "gel"), ("skin", "oil"), ()]
    result = quality(ItemTokens(codes_NL, (2, 3)), categories=paths)
    # Below 0: each wax has one wax among two others, the gel none. Below 1 nothing is known of the
    # only other item.
    assert result.purity == pytest.approx(((1 / 2 + 1 / 2 + 0) / 3,))
    assert result.top_purity == (1.0,)
    # Pairs of the four known items: 1 of 6 is wax and wax, 3 of 6 are hair.
    assert result.chance_purity == pytest.approx(1 / 6)
    assert result.chance_top_purity == pytest.approx(1 / 2)
    with pytest.raises(DataError, match="5 items but 4 category paths"):
        quality(ItemTokens(codes_NL, (2, 3)), categories=paths[1:])


def histories(*item_rows):
    """One history per argument."""
    offsets = np.cumsum([0, *map(len, item_rows)])
    return Sequences(offsets=offsets, item_rows=np.concatenate(item_rows).astype(np.int32))


def test_company_is_the_cosine_of_histories():
    # Item 0 shares two histories with 1, which is in four, and one with 2, which is in one:
    # 2 / sqrt(4) = 1 and 1 / sqrt(1) = 1 tie; with 3, in two histories: 1 / sqrt(2).
    taken = histories([0, 1, 0], [1, 0, 2, 3], [1, 3], [1], [4])
    item_P, other_P = company(taken, 5, count=2, sample=10, seed=0)
    near = {item: set(other_P[item_P == item].tolist()) for item in range(5)}
    assert near[0] == {1, 2}
    assert near[2] == {0, 3}  # 1 / sqrt(2) each, and 1 / 2 for item 1
    assert near[4] == set()  # alone
    tokens = ItemTokens(np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]]), (2, 3))
    share = quality(tokens, histories=taken, sample=10).company[0]
    agree = sum(
        tokens.codes_NL[i, 0] == tokens.codes_NL[j, 0]
        for i, j in zip(*company(taken, 5, 10, 10, 0), strict=True)
    )
    assert share == pytest.approx(agree / 12)  # pairs of 0, 1, 2 and 3: all six, both ways
