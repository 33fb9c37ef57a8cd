"""Codewords from batches: as good as Lloyd's rounds over all vectors, and awkward data."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.tokenize import minibatch
from itemlm.tokenize.kmeans import fit_kmeans, means, nearest
from itemlm.tokenize.minibatch import codewords_from_batches, enough_for_batches
from itemlm.tokenize.quantizer import directions


def clusters(seed, points=6000, clusters=40, width=16, spread=0.6):
    rng = np.random.default_rng(seed)
    centers_KD = rng.normal(size=(clusters, width))
    x_ND = centers_KD[rng.integers(clusters, size=points)]
    x_ND = directions(x_ND + spread * rng.normal(size=(points, width)))
    return x_ND - x_ND.mean(axis=0)


def lost(x_ND, codebook_KD):
    return float(nearest(x_ND, codebook_KD)[1].sum(dtype=np.float64))


def plain_codewords(x_ND, k, seed):
    """The definition: group directions by k-means, and take the means of the vectors themselves."""
    _, group_N = fit_kmeans(directions(x_ND), k, seed)
    return means(x_ND, group_N)


def test_batches_lose_no_more_than_two_percent_more_than_all_vectors():
    # Means over seeds, since single fits of either differ by as much.
    x_ND = clusters(0, points=20_000, clusters=200, width=32)
    batches = [lost(x_ND, codewords_from_batches(x_ND, 64, seed)) for seed in range(3)]
    plain = [lost(x_ND, plain_codewords(x_ND, 64, seed)) for seed in range(3)]
    assert np.mean(batches) <= 1.02 * np.mean(plain)


def test_a_batch_fades_as_later_ones_come(monkeypatch):
    # One code, so that every vector of a batch goes to it. Three batches of 2 with FADING 1 are
    # kept as 0, 1/2 and 2/3: the first counts 1/2 * 2/3 = 1/3, the second 2/3, the third 1.
    batches = [[0, 1], [2, 3], [4, 5]]
    monkeypatch.setattr(minibatch, "FADING", 1)
    monkeypatch.setattr(minibatch, "START_PER_CODE", 2)
    monkeypatch.setattr(minibatch, "_batches", lambda *_: map(np.array, batches))
    x_ND = np.array([[1.0], [3.0], [5.0], [7.0], [2.0], [4.0]], dtype=np.float32)
    codebook_KD = codewords_from_batches(x_ND, 1, seed=0)
    # ((1 + 3) / 3 + (5 + 7) * 2 / 3 + 2 + 4) / (2 / 3 + 4 / 3 + 2) = 46 / 3 / 4.
    assert codebook_KD.tolist() == [[pytest.approx(46 / 12)]]


def test_every_vector_has_its_turn_before_any_has_a_second(monkeypatch):
    monkeypatch.setattr(minibatch, "BATCHES", 6)
    batches = list(minibatch._batches(30, 10, np.random.default_rng(0)))
    assert [len(rows_B) for rows_B in batches] == [10] * 6
    for three in (batches[:3], batches[3:]):
        assert sorted(np.concatenate(three).tolist()) == list(range(30))


def test_few_distinct_vectors_among_many_give_exactly_so_many_codewords():
    distinct_KD = np.array([[0.1, 0.2], [0.3, -0.7], [0.5, 0.5]], dtype=np.float32)
    x_ND = distinct_KD.repeat(1000, axis=0)
    codebook_KD = codewords_from_batches(x_ND, 8, seed=0)
    np.testing.assert_allclose(
        np.sort(codebook_KD, axis=0), np.sort(distinct_KD, axis=0), atol=1e-6
    )
    # What they leave over is rounding, of which a next level makes no groups.
    residual_ND = x_ND - codebook_KD[nearest(x_ND, codebook_KD)[0]]
    assert len(codewords_from_batches(residual_ND, 8, seed=1)) == 1


def test_a_center_without_vectors_starts_again_where_one_is_served_worst(monkeypatch):
    # The start looks at four vectors only, so that it may not see all four directions: places
    # without vectors move to the directions that are missing.
    monkeypatch.setattr(minibatch, "START_PER_CODE", 1)
    four_KD = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], dtype=np.float32)
    x_ND = four_KD.repeat([2000, 40, 40, 40], axis=0)
    codebook_KD = codewords_from_batches(x_ND, 4, seed=0)
    assert lost(x_ND, codebook_KD) == pytest.approx(0, abs=1e-6)


def test_the_same_seed_gives_the_same_codewords_and_another_seed_others():
    x_ND = clusters(1)
    first, again, other = (codewords_from_batches(x_ND, 16, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_batches_begin_where_there_are_more_than_two_of_them():
    assert not enough_for_batches(2 * 32 * 256, 256)
    assert enough_for_batches(2 * 32 * 256 + 1, 256)
