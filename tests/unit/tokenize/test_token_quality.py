"""Quality of tokens: every measure on catalogs small enough to count by hand."""

from __future__ import annotations

import io
import json
from math import exp, log

import numpy as np
import pytest
from rich.console import Console

from itemlm.tokenize import quality as module
from itemlm.tokenize.quality import nearest_neighbors, quality
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
    assert result.usage == (1.0, 0.5)
    entropy = -(5 / 6 * log(5 / 6) + 1 / 6 * log(1 / 6))
    assert result.perplexity == pytest.approx((2.0, exp(entropy)))
    # Counts 0, 0, 1, 5 in order: 2 * (1*0 + 2*0 + 3*1 + 4*5) / (4 * 6) - (4 + 1) / 4 = 2/3.
    assert result.gini == pytest.approx((0.0, 2 / 3))


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
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 300)  # blocks of 5 items
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
    assert (alone.items, alone.unique_prefixes, alone.usage, alone.chance) == (1, 1, (), ())
