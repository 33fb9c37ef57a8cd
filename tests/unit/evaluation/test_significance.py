"""Intervals and tests, beside slow versions and SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from itemlm.evaluation.significance import (
    bootstrap_means,
    clusters,
    holm,
    interval,
    sign_flip_p_values,
)


def test_questions_of_one_user_share_a_cluster_and_unknown_users_stand_alone() -> None:
    found = clusters(np.array([5, 2, 5, -1, -1]))
    assert found[0] == found[2]
    assert len(set(found.tolist())) == 4
    assert sorted(set(found.tolist())) == [0, 1, 2, 3]


def test_the_bootstrap_draws_users_with_all_their_questions() -> None:
    # User 0 asked three times and got 1 each time, user 1 asked once and got 0. Two users are
    # drawn: both 0 -> 3/3 or 6/6 = 1; both 1 -> 0; one of each -> 3/4. Nothing else can come.
    values = np.array([[1.0], [1.0], [1.0], [0.0]])
    means = bootstrap_means(values, np.array([0, 0, 0, 1]), 400, seed=0)[:, 0]
    found, times = np.unique(means, return_counts=True)
    assert found.tolist() == [0, 0.75, 1]
    assert times / 400 == pytest.approx([0.25, 0.5, 0.25], abs=0.08)


def test_the_bootstrap_agrees_with_the_normal_approximation() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((2000, 1))
    low, high = interval(bootstrap_means(values, np.arange(2000), 2000, seed=1))
    error = values.std() / np.sqrt(2000)
    assert values.mean() - low[0] == pytest.approx(1.96 * error, rel=0.1)
    assert high[0] - values.mean() == pytest.approx(1.96 * error, rel=0.1)


def test_columns_share_the_draws_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((50, 1))
    cluster = np.arange(50)
    both = bootstrap_means(np.hstack([values, values + 1]), cluster, 100, seed=3)
    np.testing.assert_allclose(both[:, 1] - both[:, 0], 1)
    monkeypatch.setattr("itemlm.evaluation.significance.BLOCK", 170)  # 3 draws at a time
    np.testing.assert_allclose(both[:, 0], bootstrap_means(values, cluster, 100, seed=3)[:, 0])


def test_sign_flips_agree_with_every_pattern_counted() -> None:
    # Differences 3, 1, 1: totals of the 8 patterns are ±5, ±3, ±3, ±1. |total| >= 5: 2 of 8.
    p = sign_flip_p_values(np.array([[3.0], [1.0], [1.0]]), np.arange(3), 40_000, seed=0)
    assert p[0] == pytest.approx(2 / 8, abs=0.01)


def test_sign_flips_agree_with_scipy() -> None:
    rng = np.random.default_rng(4)
    differences = rng.normal(0.35, 1, (14, 3))  # 2 ** 14 patterns, all of which SciPy visits
    ours = sign_flip_p_values(differences, np.arange(14), 60_000, seed=0)
    for column in range(3):
        theirs = stats.permutation_test(
            (differences[:, column],), np.mean, permutation_type="samples", n_resamples=2**15
        ).pvalue
        assert ours[column] == pytest.approx(theirs, abs=0.01)


def test_sign_flips_turn_whole_users() -> None:
    # Four questions of one user: only two patterns exist, so nothing can be significant.
    p = sign_flip_p_values(np.ones((4, 1)), np.zeros(4, dtype=int), 1000, seed=0)
    assert p[0] == 1
    # The same questions from forty users can.
    assert sign_flip_p_values(np.ones((40, 1)), np.arange(40), 1000, seed=0)[0] < 0.01


def test_no_difference_at_all_has_p_one() -> None:
    assert sign_flip_p_values(np.zeros((5, 2)), np.arange(5), 1000, seed=0).tolist() == [1, 1]


def test_under_no_difference_one_test_in_twenty_is_significant() -> None:
    differences = np.random.default_rng(0).normal(size=(60, 400))
    p = sign_flip_p_values(differences, np.arange(60), 2000, seed=0)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.03)


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04 -> never falling.
    assert holm(np.array([0.03, 0.01, 0.04, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.6, 0.9])) == pytest.approx([1, 1])
