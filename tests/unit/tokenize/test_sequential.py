"""Numbers in the order of histories, on three users whose numbers can be counted by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.data.sequences import Sequences
from itemlm.data.splits import LeaveOneOut
from itemlm.tokenize.sequential import numbers, sequential
from itemlm.types import ConfigError, DataError, UnknownName

# Users take items 4 2 3 | 2 0 | 3 1 4 2 of six; nobody takes 5.
HISTORIES = Sequences(
    offsets=np.array([0, 3, 5, 9]),
    item_rows=np.array([4, 2, 3, 2, 0, 3, 1, 4, 2], dtype=np.int32),
    timestamps=np.array([20, 30, 40, 10, 50, 5, 15, 30, 60]),
)


def first_met(order, seed=0):
    """Items in the order of their numbers."""
    return np.argsort(numbers(HISTORIES, 6, order, seed)).tolist()


def test_by_user():
    assert first_met("user") == [4, 2, 3, 0, 1, 5]


def test_by_time():
    # 5: item 3, 10: 2, 15: 1, 20: 4, then at 50: 0. Item 5 has no event and comes last.
    assert first_met("time") == [3, 2, 1, 4, 0, 5]


def test_by_length_of_history():
    assert first_met("short_to_long") == [2, 0, 4, 3, 1, 5]
    assert first_met("long_to_short") == [3, 1, 4, 2, 0, 5]


def test_by_users_at_random():
    orders = {tuple(first_met("random", seed)) for seed in range(30)}
    a, b, c = [4, 2, 3], [2, 0], [3, 1, 4, 2]
    possible = set()
    for users in ([a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]):
        met = [item for user in users for item in user]
        possible.add((*dict.fromkeys(met), 5))
    assert orders == possible


def test_at_one_moment_a_users_events_stay_together():
    # Both users take three items on the same day: 0 1 2 and 3 4 5.
    day = Sequences(
        offsets=np.array([0, 3, 6]),
        item_rows=np.arange(6, dtype=np.int32),
        timestamps=np.full(6, 7),
    )
    assert {tuple(np.argsort(numbers(day, 6, "time", seed))) for seed in range(20)} == {
        (0, 1, 2, 3, 4, 5),
        (3, 4, 5, 0, 1, 2),
    }


def test_digits():
    tokens = sequential(HISTORIES, 6, "user", base=2)
    # Numbers 0 to 5 in base 2, of the items 4, 2, 3, 0, 1, 5.
    digits = [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1]]
    assert tokens.codes_NL[[4, 2, 3, 0, 1, 5]].tolist() == digits
    assert tokens.levels == (2, 2, 2)
    assert sequential(HISTORIES, 6, "user", base=4).levels == (2, 4)
    assert sequential(HISTORIES, 6, "user", base=100).levels == (6,)


def test_items_that_are_only_held_out_do_not_tell_who_took_them():
    # Users take 0 1 and then something of their own, which is held out.
    events = pl.DataFrame(
        [
            (f"u{user}", f"i{item:02d}", time)
            for user in range(20)
            for time, item in enumerate([0, 1, 2, 3, 4 + user])
        ],
        schema=["user_id", "item_id", "timestamp"],
        orient="row",
    )
    train = Dataset.from_frames(events).split(LeaveOneOut()).train
    orders = [numbers(train.sequences, 24, "user", seed) for seed in range(2)]
    for number_N in orders:
        assert number_N[:3].tolist() == [0, 1, 2]
        assert sorted(number_N[3:].tolist()) == list(range(3, 24))
    # Whole histories would give these the numbers 4, 5, 6 ... in the order of users.
    assert (orders[0][3:] != orders[1][3:]).any()
    assert orders[0][4:].tolist() != sorted(orders[0][4:].tolist())


def test_what_cannot_be_ordered_is_refused():
    with pytest.raises(UnknownName, match="no order of histories 'users'"):
        sequential(HISTORIES, 6, "users")
    with pytest.raises(ConfigError, match="base of numbers is 1"):
        sequential(HISTORIES, 6, base=1)
    timeless = Sequences(offsets=HISTORIES.offsets, item_rows=HISTORIES.item_rows)
    with pytest.raises(DataError, match="no times"):
        sequential(timeless, 6, "time")
