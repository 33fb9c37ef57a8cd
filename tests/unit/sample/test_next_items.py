"""Windows of histories: every event but the first of each user is a target exactly once."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.data.sequences import Sequences
from itemlm.sample.next_items import NextItems, Prefixes, prefixes, windows
from itemlm.types import DataError

# User 0 did 10 11 12 13 14, user 1 did 20, user 2 did 30 31.
OFFSETS = np.array([0, 5, 6, 8])
EVENTS = Sequences(
    offsets=OFFSETS, item_rows=np.array([10, 11, 12, 13, 14, 20, 30, 31], dtype=np.int32)
)


def rows(source, epoch=0):
    """Every window of an epoch as (read, followed by), sorted."""
    found = []
    for batch in source.batches(epoch):
        for items, length, targets in zip(
            batch.items_BT, batch.lengths_B, batch.targets_BT, strict=True
        ):
            assert (items[length:] == 99).all()
            assert (targets[length:] == -1).all()
            found.append((items[:length].tolist(), targets[:length].tolist()))
    return sorted(found)


def test_windows_are_cut_from_the_newest_event_backwards():
    source = NextItems(EVENTS, padding=99, length=3, batch_size=2, seed=0)
    assert source.steps == 2
    assert rows(source) == [
        ([10], [11]),
        ([11, 12, 13], [12, 13, 14]),
        ([30], [31]),
    ]


def test_prefixes_are_one_window_per_target():
    source = Prefixes(EVENTS, padding=99, length=3, batch_size=2, seed=0)
    assert [(read, followed[-1]) for read, followed in rows(source)] == [
        ([10], 11),
        ([10, 11], 12),
        ([10, 11, 12], 13),
        ([11, 12, 13], 14),
        ([30], 31),
    ]


def test_an_epoch_is_reproducible_and_can_be_entered_in_the_middle():
    source = NextItems(EVENTS, padding=99, length=2, batch_size=1, seed=3)
    whole = [batch.items_BT.tolist() for batch in source.batches(5)]
    assert [batch.items_BT.tolist() for batch in source.batches(5, skip=2)] == whole[2:]
    orders = {str([batch.items_BT.tolist() for batch in source.batches(e)]) for e in range(8)}
    assert len(orders) > 1


def test_nothing_to_learn_from():
    single = Sequences(offsets=np.array([0, 1, 2]), item_rows=np.array([0, 1], dtype=np.int32))
    with pytest.raises(DataError, match="no user has two events"):
        NextItems(single, padding=9, length=3, batch_size=2, seed=0)


@settings(max_examples=50)
@given(lengths=st.lists(st.integers(0, 12), min_size=1), window=st.integers(1, 5))
def test_every_event_but_the_first_is_a_target_once(lengths, window):
    offsets = np.cumsum([0, *lengths])
    expected = sorted(set(range(offsets[-1])) - set(offsets[:-1].tolist()))
    starts_W, lengths_W = windows(offsets, window)
    targets = [s + 1 + i for s, n in zip(starts_W, lengths_W, strict=True) for i in range(n)]
    assert sorted(targets) == expected
    assert (lengths_W <= window).all()
    starts_W, lengths_W = prefixes(offsets, window)
    assert sorted((starts_W + lengths_W).tolist()) == expected
    user_of = np.repeat(np.arange(len(lengths)), lengths)
    assert (user_of[starts_W] == user_of[starts_W + lengths_W]).all()
