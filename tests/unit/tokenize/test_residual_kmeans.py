"""Residual k-means: what codes come to mean, small catalogs, and its settings."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.tokenize.kmeans import nearest
from itemlm.tokenize.quality import quality
from itemlm.tokenize.random_ids import random_tokens
from itemlm.tokenize.residual_kmeans import residual_kmeans
from itemlm.types import ConfigError, DataError


def shelves(seed=0, items=400, shelves=8, width=16):
    """Vectors around a few directions, and the shelf that each belongs to."""
    rng = np.random.default_rng(seed)
    shelf_N = rng.integers(shelves, size=items)
    vectors_ND = rng.normal(size=(shelves, width))[shelf_N]
    return vectors_ND + 0.1 * rng.normal(size=(items, width)), shelf_N


def test_the_first_code_finds_the_shelves():
    vectors_ND, shelf_N = shelves()
    code_N = residual_kmeans(vectors_ND, codes=8).codes_NL[:, 0]
    # One code per shelf and one shelf per code.
    assert len(set(zip(code_N.tolist(), shelf_N.tolist(), strict=True))) == 8


def test_each_code_is_the_nearest_to_what_the_ones_before_left_over():
    vectors_ND, _ = shelves()
    tokens = residual_kmeans(vectors_ND, codes=16, spread=False)
    residual_ND = vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    residual_ND = (residual_ND - residual_ND.mean(axis=0)).astype(np.float32)
    for level, codebook_KD in enumerate(tokens.quantizer.codebooks):
        assert np.array_equal(tokens.codes_NL[:, level], nearest(residual_ND, codebook_KD)[0])
        residual_ND = residual_ND - codebook_KD[tokens.codes_NL[:, level]]


def test_every_level_loses_less():
    vectors_ND, _ = shelves()
    tokens = residual_kmeans(vectors_ND, levels=4, codes=8, spread=False)
    lost = [
        tokens.quantizer.reconstruction_error(vectors_ND, tokens.codes_NL[:, :level])
        for level in range(5)
    ]
    assert lost[0] == pytest.approx(1, abs=1e-6)  # no code: only the mean is known
    assert lost == sorted(lost, reverse=True)
    assert lost[1] < 0.2  # shelves are most of the variance


def test_later_codes_are_used_evenly_though_few_items_leave_over_much():
    # Noise whose size varies a lot from item to item. Groups by distance would spend codes on the
    # few items with the most noise and put nearly all others under one code: a perplexity of 2.5.
    rng = np.random.default_rng(0)
    size_N1 = np.exp(1.5 * rng.normal(size=(1000, 1)))
    vectors_ND = rng.normal(size=(4, 16))[rng.integers(4, size=1000)]
    vectors_ND = vectors_ND + 0.02 * size_N1 * rng.normal(size=(1000, 16))
    tokens = residual_kmeans(vectors_ND, levels=2, codes=32, spread=False)
    assert quality(tokens).perplexity[1] > 10


def test_only_directions_matter():
    vectors_ND, _ = shelves()
    lengths_N1 = np.random.default_rng(1).uniform(0.1, 10, size=(len(vectors_ND), 1))
    tokens, scaled = residual_kmeans(vectors_ND), residual_kmeans(vectors_ND * lengths_N1)
    assert (tokens.codes_NL[:, 0] == scaled.codes_NL[:, 0]).mean() > 0.99  # up to rounding


def test_spreading_makes_prefixes_unique_and_leaves_the_earlier_codes():
    vectors_ND, _ = shelves()
    plain = residual_kmeans(vectors_ND, levels=2, codes=64, spread=False)
    spread = residual_kmeans(vectors_ND, levels=2, codes=64)
    assert len(np.unique(plain.semantic_codes, axis=0)) < len(vectors_ND)
    assert len(np.unique(spread.semantic_codes, axis=0)) == len(vectors_ND)
    assert np.array_equal(plain.codes_NL[:, 0], spread.codes_NL[:, 0])
    assert (spread.codes_NL[:, 2] == 0).all()


def test_an_item_appended_again_gets_its_own_semantic_codes():
    vectors_ND, _ = shelves()
    tokens = residual_kmeans(vectors_ND, codes=16, spread=False)
    grown = tokens.append(vectors_ND[:50])
    assert np.array_equal(grown.semantic_codes[400:], tokens.semantic_codes[:50])


def test_many_items_are_coded_as_well_as_few():
    # Enough for batches, and more than the sample that codewords are made from.
    vectors_ND, _ = shelves(items=9000)
    tokens = residual_kmeans(vectors_ND, codes=16, spread=False)
    few = residual_kmeans(vectors_ND[:900], codes=16, spread=False)
    error = tokens.quantizer.reconstruction_error(vectors_ND, tokens.semantic_codes)
    assert error <= 1.02 * few.quantizer.reconstruction_error(
        vectors_ND, few.quantizer.codes(vectors_ND)
    )
    assert np.array_equal(tokens.semantic_codes, tokens.quantizer.codes(vectors_ND))


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others():
    vectors_ND, _ = shelves()
    prints = [residual_kmeans(vectors_ND, seed=seed).fingerprint for seed in (3, 3, 4)]
    assert prints[0] == prints[1] != prints[2]


def test_codes_shrink_to_the_distinct_vectors():
    # Three directions; the first code already says everything, so later levels need one code.
    vectors_ND = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]]).repeat([4, 2, 1], axis=0)
    tokens = residual_kmeans(vectors_ND, spread=False, spare=0)
    assert tokens.levels == (3, 1, 1, 4)
    assert tokens.codes_NL[:, 0].tolist() == [tokens.codes_NL[0, 0]] * 4 + [
        tokens.codes_NL[4, 0]
    ] * 2 + [tokens.codes_NL[6, 0]]


@pytest.mark.parametrize("vectors_ND", [np.ones((1, 3)), np.zeros((5, 3)), np.eye(2)])
def test_tiny_and_empty_headed_catalogs_work(vectors_ND):
    tokens = residual_kmeans(vectors_ND)
    assert tokens.decode(tokens.codes_NL).tolist() == list(range(len(vectors_ND)))


def test_bad_settings_and_vectors_are_refused():
    with pytest.raises(ConfigError, match="at least 1, not 0 and 256"):
        residual_kmeans(np.eye(3), levels=0)
    with pytest.raises(DataError, match="first in row 2"):
        residual_kmeans(np.array([[1.0], [2.0], [np.inf]]))


def test_random_tokens_are_unique_seeded_and_evenly_used():
    tokens = random_tokens(2560, levels=2, codes=16, seed=1)
    assert tokens.levels[:2] == (16, 16)
    assert tokens.fingerprint == random_tokens(2560, levels=2, codes=16, seed=1).fingerprint
    assert tokens.fingerprint != random_tokens(2560, levels=2, codes=16, seed=2).fingerprint
    # Each of 16 codes is expected 160 times, give or take 5 standard deviations of 12.2.
    assert (np.abs(np.bincount(tokens.codes_NL[:, 0]) - 160) < 62).all()
    with pytest.raises(ConfigError, match="at least 1, not 0, 3 and 256"):
        random_tokens(0)
