"""Balanced k-means: groups of one size, at a cost close to the least."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from itemlm.tokenize.balanced_kmeans import balanced_kmeans, even_groups, fit_balanced
from itemlm.tokenize.residual_kmeans import residual_kmeans
from itemlm.types import ConfigError


def vectors(items=300, width=12, seed=0):
    rng = np.random.default_rng(seed)
    shelf_N = rng.choice(6, items, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    return rng.normal(size=(6, width))[shelf_N] + 0.2 * rng.normal(size=(items, width))


def test_groups_of_one_size_by_hand():
    # Plain k-means gives 0, 1, 2 one center and 10 another; two each is 0, 1 and 2, 10.
    centers_KD, group_N = fit_balanced(np.array([[0.0], [1.0], [2.0], [10.0]], np.float32), 2, 0)
    assert group_N[0] == group_N[1] != group_N[2] == group_N[3]
    assert sorted(centers_KD[:, 0].tolist()) == [0.5, 6.0]


@pytest.mark.parametrize("seed", range(5))
def test_even_groups_cost_little_more_than_the_best_ones(seed):
    cost_NK = np.random.default_rng(seed).random((6, 3))
    best = min(
        cost_NK[np.arange(6), list(places)].sum()
        for places in set(permutations([0, 0, 1, 1, 2, 2]))
    )
    group_N = even_groups(cost_NK)
    assert np.bincount(group_N).tolist() == [2, 2, 2]
    assert cost_NK[np.arange(6), group_N].sum() <= 1.1 * best


def test_what_cannot_be_shared_out_goes_where_it_is_wanted():
    # Five rows, two columns, four want column 1: it gets three.
    cost_NK = np.array([[0, 9], [9, 0], [8, 0], [1, 0], [7, 0]], dtype=float)
    assert even_groups(cost_NK).tolist() == [0, 1, 1, 0, 1]


def test_every_code_belongs_to_equally_many_items():
    tokens = balanced_kmeans(vectors(), levels=2, codes=16, spread=False)
    for code_N in tokens.semantic_codes.T:
        assert set(np.bincount(code_N, minlength=16).tolist()) == {18, 19}  # 300 / 16 = 18.75
    plain = residual_kmeans(vectors(), levels=2, codes=16, spread=False)
    assert np.bincount(plain.codes_NL[:, 0]).max() > 30


def test_codes_restore_vectors_and_new_items_get_the_nearest():
    tokens = balanced_kmeans(vectors(), levels=3, codes=16, spread=False)
    quantizer = tokens.quantizer
    assert quantizer.reconstruction_error(vectors(), tokens.semantic_codes) < 0.35
    grown = tokens.append(vectors(items=20, seed=1))
    assert np.array_equal(grown.semantic_codes[300:], quantizer.codes(vectors(items=20, seed=1)))


def test_small_and_repeated_catalogs_work():
    for vectors_ND in (np.ones((1, 3)), np.ones((5, 3)), np.eye(3)):
        tokens = balanced_kmeans(vectors_ND, codes=4)
        assert tokens.decode(tokens.codes_NL).tolist() == list(range(len(vectors_ND)))


def test_the_same_seed_gives_the_same_tokens_and_bad_settings_are_refused():
    prints = [balanced_kmeans(vectors(), 2, 8, seed=seed).fingerprint for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]
    with pytest.raises(ConfigError, match="at least 1, not 0 and 256"):
        balanced_kmeans(vectors(), levels=0)
