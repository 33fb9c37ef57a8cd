"""Spectral clustering against known blocks, brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.sparse import CSR
from itemlm.tokenize import spectral
from itemlm.tokenize.spectral import (
    Ties,
    groups_of_directions,
    leading_eigenvectors,
    spectral_groups,
)


def blocks(items, groups, histories, seed, stray=0.1):
    """Histories of five items, each of one block but for stray items, and the blocks."""
    rng = np.random.default_rng(seed)
    block_N = rng.permutation(np.arange(items) % groups)
    members = [np.flatnonzero(block_N == block) for block in range(groups)]
    taken = np.concatenate([rng.choice(members[n % groups], 5) for n in range(histories)])
    lost = rng.random(len(taken)) < stray
    taken[lost] = rng.integers(items, size=lost.sum())
    shape = (histories, items)
    return CSR.distinct(np.repeat(np.arange(histories), 5), taken, shape), block_N


def together(taken_HN):
    """[N, N] in how many histories two items stand together, densely."""
    taken = taken_HN.toarray()
    ties_NN = taken.T @ taken
    np.fill_diagonal(ties_NN, 0)
    return ties_NN


def same(group_N, other_N):
    """Whether two groupings are the same but for the names of the groups."""
    pairs = set(zip(group_N.tolist(), other_N.tolist(), strict=True))
    return len(pairs) == len(set(group_N.tolist())) == len(set(other_N.tolist()))


def test_ties_by_hand(monkeypatch):
    monkeypatch.setattr(spectral, "EVEN_TIES", 0.0)
    # Histories 0 1 2 and 0 1: 0 and 1 are tied twice, 2 once to each. Degrees 3, 3, 2.
    ties = Ties(CSR.distinct(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), (2, 3)))
    expected = [[0, 2 / 3, 1 / 6**0.5], [2 / 3, 0, 1 / 6**0.5], [1 / 6**0.5, 1 / 6**0.5, 0]]
    assert ties @ np.eye(3) == pytest.approx(np.array(expected))


def test_even_ties_are_added_to_all(monkeypatch):
    monkeypatch.setattr(spectral, "EVEN_TIES", 0.3)
    taken_HN, _ = blocks(30, 3, 60, seed=0)
    ties_NN = together(taken_HN)
    ties_NN += 0.3 * ties_NN.sum(axis=1).mean() / 30
    degree_N = ties_NN.sum(axis=1)
    expected = ties_NN / np.sqrt(np.outer(degree_N, degree_N))
    assert Ties(taken_HN) @ np.eye(30) == pytest.approx(expected)


def test_the_search_finds_the_leading_eigenvectors(monkeypatch):
    taken_HN, _ = blocks(400, 8, 1500, seed=1)
    ties = Ties(taken_HN)
    exact_NK = leading_eigenvectors(ties, 6, seed=0)  # small enough to be computed at once
    monkeypatch.setattr(spectral, "DENSE", 0)
    found_NK = leading_eigenvectors(ties, 6, seed=0)
    assert found_NK.T @ found_NK == pytest.approx(np.eye(6), abs=1e-8)
    # The same space: projecting one on the other loses nothing.
    lengths_K = np.linalg.svd(exact_NK.T @ found_NK, compute_uv=False)
    assert lengths_K == pytest.approx(np.ones(6), abs=1e-4)
    exact = np.linalg.eigvalsh(ties @ np.eye(400))[::-1][:6]
    assert np.diag(found_NK.T @ (ties @ found_NK)) == pytest.approx(exact, abs=1e-5)


def test_groups_are_read_off_directions():
    # Items of three groups point to the axes of a turned space.
    turn_KK = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3))).Q
    group_N = np.array([0, 1, 2, 2, 1, 0, 0])
    x_NK = np.eye(3)[group_N] / np.sqrt(np.bincount(group_N))[group_N, None] @ turn_KK
    assert same(groups_of_directions(x_NK), group_N)


@pytest.mark.parametrize("dense", [600, 0])
def test_known_blocks_are_found_as_scikit_learn_finds_them(dense, monkeypatch):
    sklearn = pytest.importorskip("sklearn.cluster")
    monkeypatch.setattr(spectral, "DENSE", dense)
    taken_HN, block_N = blocks(300, 6, 2000, seed=2)
    ours = spectral_groups(taken_HN, 6, seed=0)
    theirs = sklearn.SpectralClustering(
        6, affinity="precomputed", assign_labels="cluster_qr", random_state=0
    ).fit_predict(together(taken_HN))
    assert same(ours, block_N)
    assert same(ours, theirs)


def test_where_blocks_are_hard_to_see_we_agree_with_scikit_learn_mostly():
    cluster = pytest.importorskip("sklearn.cluster")
    metrics = pytest.importorskip("sklearn.metrics")
    taken_HN, block_N = blocks(300, 6, 900, seed=3, stray=0.5)
    ours = spectral_groups(taken_HN, 6, seed=0)
    theirs = cluster.SpectralClustering(
        6, affinity="precomputed", assign_labels="cluster_qr", random_state=0
    ).fit_predict(together(taken_HN))
    ours_right = metrics.adjusted_rand_score(block_N, ours)
    assert ours_right > metrics.adjusted_rand_score(block_N, theirs) - 0.05
    assert ours_right > 0.5


def test_scraps_do_not_take_the_groups():
    # Two blocks of 100, and ten pairs that nobody else takes anything with: without even ties the
    # leading eigenvectors would be those of the pairs.
    taken_HN, block_N = blocks(200, 2, 1000, seed=4)
    pairs = 200 + np.arange(20)
    row_Z = np.concatenate([taken_HN.row_of_entry, 1000 + np.arange(20) // 2])
    with_pairs = CSR.distinct(row_Z, np.concatenate([taken_HN.columns, pairs]), (1010, 220))
    assert same(spectral_groups(with_pairs, 2, seed=0)[:200], block_N)


def test_equal_seeds_give_equal_groups(monkeypatch):
    monkeypatch.setattr(spectral, "DENSE", 0)
    taken_HN, _ = blocks(200, 5, 600, seed=5)
    first, again = (spectral_groups(taken_HN, 5, seed=3) for _ in range(2))
    assert (first == again).all()
