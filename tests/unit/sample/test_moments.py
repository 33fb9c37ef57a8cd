"""Moments: a random event of each user, and nothing that came later."""

import numpy as np

from itemlm.data.sequences import Sequences
from itemlm.sample.moments import histories_before, random_moments, with_targets

SEQUENCES = Sequences(offsets=np.array([0, 3, 4, 6]), item_rows=np.array([5, 6, 7, 8, 9, 4]))
USERS = np.array([0, 2])  # of three and two events


def test_every_event_but_the_first_may_be_drawn():
    rng = np.random.default_rng(0)
    drawn = {tuple(random_moments(SEQUENCES, USERS, rng).tolist()) for _ in range(50)}
    assert drawn == {(1, 5), (2, 5)}


def test_histories_end_before_the_event():
    batch = histories_before(SEQUENCES, USERS, np.array([2, 5]))
    assert batch.offsets.tolist() == [0, 2, 3]
    assert batch.item_rows.tolist() == [5, 6, 9]
    assert batch.user_rows.tolist() == [-1, -1]


def test_the_target_is_among_the_candidates_of_training():
    rows = np.array([[1, 2, 3], [4, 5, 6], [7, -1, -1]])
    mixed = with_targets(rows, np.array([2, 9, 8]), np.random.default_rng(0))
    assert sorted(mixed[0]) == [1, 2, 3]
    assert sorted(mixed[1]) == [4, 5, 9]  # in the place of the last
    assert sorted(mixed[2, :2]) == [7, 8]
    assert mixed[2, 2] == -1
    assert rows[1].tolist() == [4, 5, 6]
