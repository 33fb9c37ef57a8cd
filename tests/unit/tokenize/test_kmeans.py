"""K-means: agreement with a plain version and with scikit-learn, and data that usually break it."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.tokenize import kmeans
from itemlm.tokenize.kmeans import fit_kmeans, means, nearest, spread_out
from itemlm.types import ConfigError, DataError


def blobs(seed, points=600, blobs=12, width=5, spread=0.3):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(blobs, width))
    x_ND = centers[rng.integers(blobs, size=points)] + spread * rng.normal(size=(points, width))
    return x_ND.astype(np.float32)


def inertia(x_ND, centers_KD, group_N):
    return float(np.square(x_ND - centers_KD[group_N]).sum())


def plain_lloyd(x_ND, centers_KD, rounds=200):
    """The textbook: assign to the nearest, move to the mean, until nothing changes."""
    for _ in range(rounds):
        group_N = np.array([np.square(x - centers_KD).sum(axis=1).argmin() for x in x_ND])
        moved = np.array([x_ND[group_N == group].mean(axis=0) for group in range(len(centers_KD))])
        if np.allclose(moved, centers_KD, atol=1e-7):
            break
        centers_KD = moved
    return centers_KD, group_N


def test_two_pairs_of_points():
    # Means (0 + 2) / 2 = 1 and (10 + 14) / 2 = 12.
    centers_KD, group_N = fit_kmeans(np.array([[0.0], [2.0], [10.0], [14.0]]), 2, seed=0)
    low, high = group_N[0], group_N[2]
    assert group_N.tolist() == [low, low, high, high]
    assert centers_KD[[low, high], 0].tolist() == [1.0, 12.0]


def test_nearest_gives_the_squared_distance_and_the_lowest_of_equals():
    # 3 is at distance 1 from 2 and from 4; (3 - 2)^2 = 1. 10 is at (10 - 4)^2 = 36 from 4.
    group_N, distance_N = nearest(
        np.array([[3.0], [10.0]], dtype=np.float32), np.array([[2.0], [4.0]], dtype=np.float32)
    )
    assert group_N.tolist() == [0, 1]
    assert distance_N.tolist() == [1.0, 36.0]


def test_nearest_agrees_with_all_distances_across_blocks(monkeypatch):
    monkeypatch.setattr(kmeans, "BLOCK_ELEMENTS", 70)  # blocks of 10 vectors, the last one short
    x_ND, centers_KD = blobs(0, points=203), blobs(1, points=7)
    distance_NK = np.square(x_ND[:, None] - centers_KD[None]).sum(axis=2)
    group_N, distance_N = nearest(x_ND, centers_KD)
    assert group_N.tolist() == distance_NK.argmin(axis=1).tolist()
    np.testing.assert_allclose(distance_N, distance_NK.min(axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_a_converged_fit_is_a_fixed_point_of_plain_lloyd(seed):
    x_ND = blobs(seed)
    centers_KD, group_N = fit_kmeans(x_ND, 12, seed, iterations=500, tolerance=0)
    plain_KD, plain_N = plain_lloyd(x_ND.astype(np.float64), centers_KD.astype(np.float64))
    assert group_N.tolist() == plain_N.tolist()
    np.testing.assert_allclose(centers_KD, plain_KD, atol=1e-5)


def test_inertia_is_within_two_percent_of_scikit_learn():
    from sklearn.cluster import KMeans

    # Twice as many centers as blobs, so that there is no one obvious answer; means over seeds,
    # since single fits of either differ by more than 2 %.
    x_ND = blobs(3, points=2000, blobs=20, width=8)
    ours = [inertia(x_ND, *fit_kmeans(x_ND, 40, seed)) for seed in range(5)]
    theirs = [KMeans(40, n_init=1, random_state=seed).fit(x_ND).inertia_ for seed in range(5)]
    assert np.mean(ours) <= 1.02 * np.mean(theirs)


def test_every_vector_is_in_the_group_of_its_nearest_center():
    x_ND = blobs(4)
    centers_KD, group_N = fit_kmeans(x_ND, 30, seed=1, iterations=2)  # stopped early
    assert group_N.tolist() == nearest(x_ND, centers_KD)[0].tolist()


def test_the_same_seed_gives_the_same_centers_and_another_seed_others():
    x_ND = blobs(5)
    first, again, other = (fit_kmeans(x_ND, 20, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_fewer_distinct_vectors_than_centers_give_exactly_those_vectors():
    x_ND = np.array([[0.1, 0.2], [0.3, -0.7], [5.0, 5.0]], dtype=np.float32).repeat(7, axis=0)
    centers_KD, group_N = fit_kmeans(x_ND, 8, seed=0)
    assert len(centers_KD) == 3
    assert np.array_equal(centers_KD[group_N], x_ND)  # exactly: nothing is left for a next level


def test_a_rare_vector_that_the_starting_sample_misses_still_gets_a_center(monkeypatch):
    monkeypatch.setattr(kmeans, "SAMPLE_LEAST", 8)
    monkeypatch.setattr(kmeans, "SAMPLE_PER_CENTER", 1)
    x_ND = np.zeros((1000, 2), dtype=np.float32)
    x_ND[500] = [3.0, 4.0]
    centers_KD, group_N = fit_kmeans(x_ND, 2, seed=0)
    assert centers_KD[group_N[500]].tolist() == [3.0, 4.0]
    assert (group_N == group_N[500]).sum() == 1


def test_a_center_that_lost_its_vectors_moves_to_the_worst_served_one():
    # Center 1 has no vector. Squared distances to center 0 are 0, 1, 49 and 64: the last vector
    # begins group 1 and takes the third along, which is at 1 from it.
    x_ND = np.array([[0.0], [1.0], [7.0], [8.0]], dtype=np.float32)
    group_N, filled = kmeans._fill(
        x_ND, np.array([[0.0], [100.0]], dtype=np.float32), np.array([0, 0, 0, 0]), 2
    )
    assert filled
    assert group_N.tolist() == [0, 0, 1, 1]


def test_means_do_not_depend_on_blocks(monkeypatch):
    x_ND = blobs(6)
    group_N = np.arange(len(x_ND)) % 4
    whole_KD = means(x_ND, group_N)
    monkeypatch.setattr(kmeans, "BLOCK_ELEMENTS", 5 * 11)
    np.testing.assert_array_equal(means(x_ND, group_N), whole_KD)
    np.testing.assert_allclose(whole_KD[2], x_ND[2::4].mean(axis=0), atol=1e-6)


def test_groups_far_from_the_origin_are_told_apart():
    # Around 1,000 a float32 square has steps of 0.06, more than the distance of 0.01 here.
    x_ND = np.array([[1000.0], [1000.1], [1001.0], [1001.1]], dtype=np.float32)
    _, group_N = fit_kmeans(x_ND, 2, seed=0)
    assert group_N[0] == group_N[1] != group_N[2] == group_N[3]


def test_bad_input_is_refused_with_a_sentence():
    with pytest.raises(DataError, match=r"1 of 3 vectors hold NaN or infinity, first in row 1"):
        fit_kmeans(np.array([[0.0], [np.nan], [1.0]]), 2, seed=0)
    with pytest.raises(DataError, match=r"matrix \[items, width\], not of shape \(3,\)"):
        fit_kmeans(np.zeros(3), 2, seed=0)
    with pytest.raises(DataError, match=r"not of shape \(0, 4\)"):
        fit_kmeans(np.zeros((0, 4)), 2, seed=0)
    with pytest.raises(ConfigError, match="at least 1, not 0, 100"):
        fit_kmeans(np.zeros((3, 1)), 0, seed=0)


def test_no_more_centers_than_vectors():
    rng = np.random.default_rng(0)
    x_ND = rng.normal(size=(30, 4)).astype(np.float32)
    centers_KD = spread_out(x_ND, 500, rng)
    assert len(np.unique(centers_KD, axis=0)) == len(centers_KD) == 30
