"""Behavior vectors: who takes an item says where it stands."""

import numpy as np
import polars as pl
import pytest

import itemlm
from itemlm.encode.behavior import behavior_vectors
from itemlm.types import DataError


def dataset(*histories, items="abcdx"):
    events = [(user, item, at) for user, row in enumerate(histories) for at, item in enumerate(row)]
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row")
    return itemlm.Dataset.build(frame, pl.DataFrame({"item_id": list(items)}), name="small")


def test_items_of_the_same_people_come_out_alike():
    vectors = behavior_vectors(dataset("ab", "ab", "ba", "cd", "dc"), 4)
    assert vectors[:4] @ vectors[:4].T == pytest.approx(
        np.kron(np.eye(2), np.ones((2, 2))), abs=1e-5
    )


def test_an_item_that_nobody_took_has_no_direction():
    vectors = behavior_vectors(dataset("ab", "cd"), 4)
    assert not vectors[4].any()
    assert np.linalg.norm(vectors[:4], axis=1) == pytest.approx(np.ones(4), rel=1e-5)


def test_no_events_at_all_is_a_sentence():
    empty = itemlm.Dataset.build(
        pl.DataFrame(schema={"user_id": pl.String, "item_id": pl.String}),
        pl.DataFrame({"item_id": ["a"]}),
        name="nothing",
    )
    with pytest.raises(DataError, match="'nothing' has no events"):
        behavior_vectors(empty, 4)
