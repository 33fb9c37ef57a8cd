"""Drawing people as profiles, beside drawing them one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from itemlm.policy.resampling import Profiles


def one_sum(a: list[float], b: list[float]) -> Profiles:
    """People by their slates (1 where they are in a group) and one more sum."""
    in_a, in_b = np.array(a) >= 0, np.array(b) >= 0
    return Profiles.of(
        np.stack([in_a, np.where(in_a, a, 0)], axis=1).astype(float),
        np.stack([in_b, np.where(in_b, b, 0)], axis=1).astype(float),
    )


NOT = -1.0  # was never in this group


def test_people_with_the_same_sums_are_one_profile() -> None:
    profiles = one_sum([1, 1, 1, 0, NOT, NOT, 1], [NOT, NOT, NOT, NOT, 1, 1, 0])
    assert profiles.people == (4, 2, 1)
    assert sorted(profiles.people_D.tolist()) == [1, 1, 2, 3]


def test_the_bootstrap_draws_each_side_apart() -> None:
    # Two people in a, with 0 and 1: sums 0, 1, 2 with chances 1/4, 1/2, 1/4. One person in b.
    profiles = one_sum([0, 1, NOT], [NOT, NOT, 5])
    a, b = profiles.bootstrap(20_000, seed=0)
    found, times = np.unique(a[:, 1], return_counts=True)
    assert found.tolist() == [0, 1, 2]
    assert times / 20_000 == pytest.approx([0.25, 0.5, 0.25], abs=0.015)
    assert (a[:, 0] == 2).all()
    assert (b == [1, 5]).all()


def test_permutations_by_hand() -> None:
    # Of 1, 2, 4 and 8 two go to a: every one of the 6 pairs is equally likely.
    profiles = one_sum([1, 2, NOT, NOT], [NOT, NOT, 4, 8])
    a, b = profiles.permuted(30_000, seed=0)
    found, times = np.unique(a[:, 1], return_counts=True)
    assert found.tolist() == sorted(x + y for x, y in itertools.combinations([1, 2, 4, 8], 2))
    assert times / 30_000 == pytest.approx([1 / 6] * 6, abs=0.015)
    assert (a[:, 1] + b[:, 1] == 15).all()
    assert (a[:, 0] == 2).all()


def test_those_who_saw_both_swap_their_parts() -> None:
    # Two people with (3, 0) and one with (0, 1): a gets 0, 3 or 6 of the first and 0 or 1.
    profiles = one_sum([3, 3, 0], [0, 0, 1])
    a, b = profiles.permuted(30_000, seed=0)
    found, times = np.unique(a[:, 1], return_counts=True)
    assert found.tolist() == [0, 1, 3, 4, 6, 7]
    assert times / 30_000 == pytest.approx([1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 8, 1 / 8], abs=0.015)
    assert (a[:, 1] + b[:, 1] == 7).all()


def test_blocks_bound_memory_and_change_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = one_sum([0, 1, 2, NOT, 3], [NOT, NOT, NOT, 4, 1])
    monkeypatch.setattr("itemlm.policy.resampling.BLOCK", 8)
    a, b = profiles.permuted(100, seed=0)
    assert (a[:, 1] + b[:, 1] == 11).all()
    assert a[:, 1].std() > 0
    a, b = profiles.bootstrap(100, seed=0)
    assert (a[:, 0] == 4).all()
    assert (b[:, 0] == 2).all()
