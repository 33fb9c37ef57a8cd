"""Sessions: which events are read, and which follow."""

import numpy as np
import pytest

pytest.importorskip("torch")

from itemlm.data.sequences import Sequences
from itemlm.sample.sessions import Sessions
from itemlm.types import DataError


def source(histories, **settings):
    offsets = np.cumsum([0, *map(len, histories)])
    sequences = Sequences(offsets=offsets, item_rows=np.concatenate(histories).astype(np.int32))
    return Sessions(sequences, padding=99, batch_size=2, seed=0, **settings)


def test_every_event_but_the_first_begins_a_session():
    examples = source([[1, 2, 3, 4], [5], [6, 7]], length=2, session=2)
    found = set()
    for batch in examples.batches(0):
        for items, length, session in zip(
            batch.items_BT.tolist(),
            batch.lengths_B.tolist(),
            batch.session_BM.tolist(),
            strict=True,
        ):
            assert all(item == 99 for item in items[length:])
            found.add((*items[:length], "then", *(item for item in session if item >= 0)))
    assert found == {
        (1, "then", 2, 3),
        (1, 2, "then", 3, 4),
        (2, 3, "then", 4),  # only the last two events are read, and only one is left
        (6, "then", 7),
    }
    assert examples.steps == 2


def test_the_same_epoch_is_the_same_and_can_be_resumed():
    examples = source([[1, 2, 3, 4, 5, 6]], length=3, session=3)
    whole = [batch.session_BM.tolist() for batch in examples.batches(1)]
    assert [batch.session_BM.tolist() for batch in examples.batches(1, skip=1)] == whole[1:]


def test_nothing_to_learn_from_is_a_sentence():
    with pytest.raises(DataError, match="no user has two events"):
        source([[1], [2]], length=2, session=2)
