"""Moments: a random event of each user to learn from, and what came before it.

Shapes      U users, E events of all histories together, P candidates of a user.
"""

from __future__ import annotations

import numpy as np

from itemlm.data.sequences import Sequences
from itemlm.types import IntArray, QueryBatch


def random_moments(sequences: Sequences, users_U: IntArray, rng: np.random.Generator) -> IntArray:
    """[U] the place, in `sequences.item_rows`, of a random event of each user but the first."""
    later_U = rng.random(len(users_U)) * (sequences.lengths[users_U] - 1)
    place_U: IntArray = sequences.offsets[users_U] + 1 + later_U.astype(np.int64)
    return place_U


def histories_before(sequences: Sequences, users_U: IntArray, place_U: IntArray) -> QueryBatch:
    """What each user had taken before the event at a place; they are nobody known."""
    first_U = sequences.offsets[users_U]
    offsets = np.concatenate([[0], np.cumsum(place_U - first_U)])
    inside_E = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first_U, place_U - first_U)
    return QueryBatch(
        offsets=offsets,
        item_rows=sequences.item_rows[inside_E],
        user_rows=np.full(len(users_U), -1, dtype=np.int64),
    )


def with_targets(rows_UP: IntArray, target_U: IntArray, rng: np.random.Generator) -> IntArray:
    """[U, P] the candidates with the target among them, in random order; -1 stays at the end.

    Where it is missing, the target takes the place of the last candidate, or an empty place.
    """
    rows_UP = rows_UP.copy()
    missing_U = ~(rows_UP == target_U[:, None]).any(axis=1)
    empty_UP = rows_UP < 0
    last_U = np.where(empty_UP.any(axis=1), empty_UP.argmax(axis=1), rows_UP.shape[1] - 1)
    rows_UP[missing_U, last_U[missing_U]] = target_U[missing_U]
    chance_UP = np.where(rows_UP >= 0, rng.random(rows_UP.shape), 2.0)
    shuffled_UP: IntArray = np.take_along_axis(rows_UP, np.argsort(chance_UP, axis=1), axis=1)
    return shuffled_UP
