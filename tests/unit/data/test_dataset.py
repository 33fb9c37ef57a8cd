"""Dataset and Vocabulary: ids to rows and back, histories in order, a folder that can be mapped."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.data.sequences import Sequences
from itemlm.data.vocabulary import Vocabulary
from itemlm.types import ArtifactError, DataError, Query


def dataset_of(**changes: object) -> Dataset:
    """Ann: a, c, b; Ben: b, a. The log is not in order, and item d has no events."""
    log = pl.DataFrame(
        {
            "user_id": ["ben", "ann", "ann", "ben", "ann"],
            "item_id": ["b", "b", "a", "a", "c"],
            "timestamp": [10, 30, 10, 20, 20],
            "value": [1.0, 2.0, 3.0, 4.0, 5.0],
        }
    )
    catalog = pl.DataFrame({"item_id": list("dcba"), "title": list("DCBA")})
    return Dataset.build(log.with_columns(**changes), catalog, name="small", notes=("one note",))


# --- Vocabulary -----------------------------------------------------------------------------------


def test_ids_and_rows_are_each_others_inverse() -> None:
    vocabulary = Vocabulary(pl.Series(["x", "y", "z"]))
    assert vocabulary.rows(["z", "x", "nobody"]).tolist() == [2, 0, -1]
    assert vocabulary.ids_of(np.array([2, 0])) == ["z", "x"]
    assert len(vocabulary) == 3
    assert "y" in vocabulary
    assert "nobody" not in vocabulary


def test_ids_are_found_by_number_and_by_text() -> None:
    numbers, texts = Vocabulary(pl.Series([260, 7])), Vocabulary(pl.Series(["260", "7"]))
    assert numbers.rows(["260", 7, "x", None]).tolist() == [0, 1, -1, -1]  # type: ignore[list-item]
    assert texts.rows([260, "7", 8]).tolist() == [0, 1, -1]
    assert numbers.ids_of(np.array([0])) == [260]
    assert texts.ids_of(np.array([0])) == ["260"]


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (pl.Series([1.5]), "ids must be integers or strings, not Float64"),
        (pl.Series(["a", None]), "1 ids are empty"),
        (pl.Series(["a", "b", "a"]), "ids must be unique, but 'a' occurs more than once"),
    ],
)
def test_a_vocabulary_refuses_what_are_no_ids(ids: pl.Series, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Vocabulary(ids)


# --- Making and asking ----------------------------------------------------------------------------


def test_events_are_sorted_by_user_and_time() -> None:
    dataset = dataset_of()
    assert dataset.users.ids.to_list() == ["ann", "ben"]
    assert dataset.sequences.offsets.tolist() == [0, 3, 5]
    # Rows follow the catalog: d 0, c 1, b 2, a 3.
    assert dataset.sequences.item_rows.tolist() == [3, 1, 2, 2, 3]
    assert dataset.events.rows() == [
        ("ann", "a", 10, 3.0),
        ("ann", "c", 20, 5.0),
        ("ann", "b", 30, 2.0),
        ("ben", "b", 10, 1.0),
        ("ben", "a", 20, 4.0),
    ]
    assert dataset.item_counts.tolist() == [0, 1, 2, 2]
    assert dataset.sequences.lengths.tolist() == [3, 2]
    assert dataset.sequences.user_rows.tolist() == [0, 0, 0, 1, 1]


def test_events_of_one_moment_keep_their_order() -> None:
    log = pl.DataFrame({"user_id": [1] * 20, "item_id": list(range(20, 0, -1)), "timestamp": 5})
    dataset = Dataset.build(log, name="tied")
    assert dataset.query(1).history == list(range(20, 0, -1))


def test_without_a_catalog_the_items_are_those_of_the_events() -> None:
    log = pl.DataFrame({"user_id": [1, 1], "item_id": ["b", "a"]})
    dataset = Dataset.build(log, name="bare")
    assert dataset.catalog.to_dict(as_series=False) == {"item_id": ["a", "b"]}
    assert dataset.query(1).history == ["b", "a"]
    assert dataset.sequences.timestamps is None


def test_profiles_stand_in_the_order_of_users() -> None:
    log = pl.DataFrame({"user_id": [2, 1], "item_id": ["a", "a"]})
    profiles = pl.DataFrame({"user_id": [9, 2], "age": [90, 20]})
    dataset = Dataset.build(log, profiles=profiles, name="bare")
    assert dataset.profiles is not None
    assert dataset.profiles.rows() == [(1, None), (2, 20)]


def test_an_event_needs_its_item() -> None:
    with pytest.raises(DataError, match="an event names item 'e', which is not in the catalog"):
        dataset_of(item_id=pl.lit("e"))


@pytest.mark.parametrize(("users", "items"), [(2, 4), (3, 4), (2, 3)])
def test_tables_and_sequences_must_have_one_size(users: int, items: int) -> None:
    def make() -> Dataset:
        return Dataset(
            name="made",
            users=Vocabulary(pl.Series(range(users))),
            items=Vocabulary(pl.Series(range(items))),
            sequences=Sequences(offsets=np.array([0, 1, 2]), item_rows=np.array([0, 1])),
            catalog=pl.DataFrame({"item_id": range(4)}),
        )

    if (users, items) == (2, 4):
        assert len(make().users) == 2
    else:
        with pytest.raises(DataError, match=r"3 users but 2 sequences|3 items but 4 catalog rows"):
            make()


def test_a_known_user_can_be_asked_about() -> None:
    dataset = dataset_of()
    assert dataset.query("ben") == Query(user="ben", history=["b", "a"])
    with pytest.raises(DataError, match="user 'cem' is not in 'small'; give a history"):
        dataset.query("cem")


def test_a_batch_leaves_out_what_is_unknown() -> None:
    batch = dataset_of().batch(
        [
            Query(user="ben", history=["a", "unknown", "d"]),
            Query(user="cem", history=[]),
            Query(history=["c"]),
        ]
    )
    assert batch.offsets.tolist() == [0, 2, 2, 3]
    assert batch.item_rows.tolist() == [3, 0, 1]
    assert batch.user_rows.tolist() == [1, -1, -1]


def test_an_empty_batch_is_a_batch() -> None:
    batch = dataset_of().batch([])
    assert len(batch) == 0
    assert batch.item_rows.tolist() == []


# --- Sequences ------------------------------------------------------------------------------------


def test_keep_takes_events_out_of_their_users() -> None:
    kept = dataset_of().sequences.keep(np.array([False, True, True, False, False]))
    assert kept.offsets.tolist() == [0, 2, 2]
    assert kept.item_rows.tolist() == [1, 2]
    assert kept.timestamps is not None
    assert kept.timestamps.tolist() == [20, 30]
    assert kept.values is not None
    assert kept.values.tolist() == [5.0, 2.0]


def test_reorder_moves_everything_that_belongs_to_an_event() -> None:
    moved = dataset_of().sequences.reorder(np.array([1, 0, 2, 4, 3]))
    assert moved.item_rows.tolist() == [1, 3, 2, 3, 2]
    assert moved.timestamps is not None
    assert moved.timestamps.tolist() == [20, 10, 30, 20, 10]
    assert moved.values is not None
    assert moved.values.tolist() == [5.0, 3.0, 2.0, 4.0, 1.0]


def test_with_sequences_adds_a_note() -> None:
    dataset = dataset_of()
    none = np.zeros(5, dtype=bool)
    emptied = dataset.with_sequences(dataset.sequences.keep(none), "emptied")
    assert emptied.notes == ("one note", "emptied")
    assert emptied.item_counts.tolist() == [0, 0, 0, 0]
    assert dataset.item_counts.tolist() == [0, 1, 2, 2]


# --- Fingerprint ----------------------------------------------------------------------------------


def test_the_fingerprint_is_that_of_the_content() -> None:
    first = dataset_of().fingerprint
    assert first == dataset_of().fingerprint
    assert len(first) == 12
    assert int(first, 16) >= 0


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": pl.Series(["ben", "ann", "ann", "ben", "ben"])},
        {"user_id": pl.Series(["ben", "amy", "amy", "ben", "amy"])},
        {"item_id": pl.Series(["b", "b", "a", "a", "b"])},
        {"timestamp": pl.Series([30, 30, 10, 20, 20])},  # Ben: a, b instead of b, a
        {  # Ann: a, c; Ben: b, b, a: the same items one after the other, but of other users
            "user_id": pl.Series(["ben", "ben", "ann", "ben", "ann"]),
            "timestamp": pl.Series([10, 5, 10, 20, 20]),
        },
    ],
)
def test_the_fingerprint_changes_with_an_id_an_event_or_an_order(
    changes: dict[str, object],
) -> None:
    assert dataset_of(**changes).fingerprint != dataset_of().fingerprint


# --- Keeping --------------------------------------------------------------------------------------


def test_a_saved_dataset_comes_back(tmp_path: Path) -> None:
    dataset = dataset_of()
    dataset.save(tmp_path / "saved")
    loaded = Dataset.load(tmp_path / "saved")
    assert loaded.events.equals(dataset.events)
    assert loaded.catalog.equals(dataset.catalog)
    assert loaded.fingerprint == dataset.fingerprint
    assert (loaded.name, loaded.notes, loaded.licence) == ("small", ("one note",), "")
    assert loaded.profiles is None
    assert loaded.query("ann").history == ["a", "c", "b"]


def test_what_is_not_known_stays_unknown(tmp_path: Path) -> None:
    log = pl.DataFrame({"user_id": [1, 2], "item_id": [3, 4]})
    profiles = pl.DataFrame({"user_id": [1], "age": [20]})
    Dataset.build(log, profiles=profiles, name="bare").save(tmp_path / "saved")
    loaded = Dataset.load(tmp_path / "saved")
    assert loaded.sequences.timestamps is None
    assert loaded.sequences.values is None
    assert loaded.profiles is not None
    assert loaded.profiles.rows() == [(1, 20), (2, None)]
    assert loaded.users.ids.to_list() == [1, 2]


def test_the_sequences_of_a_loaded_dataset_stay_on_disk(tmp_path: Path) -> None:
    dataset_of().save(tmp_path / "saved")
    arrays = Dataset.load(tmp_path / "saved").sequences.arrays()
    assert sorted(arrays) == ["item_rows", "offsets", "timestamps", "values"]
    for name, array in arrays.items():
        assert isinstance(array, np.memmap), name
        assert not array.flags.writeable, name


def test_a_loaded_dataset_can_be_saved_over_itself(tmp_path: Path) -> None:
    dataset_of().save(tmp_path / "saved")
    loaded = Dataset.load(tmp_path / "saved")
    loaded.save(tmp_path / "saved")
    assert Dataset.load(tmp_path / "saved").fingerprint == dataset_of().fingerprint
    assert os.listdir(tmp_path) == ["saved"]


def test_a_failed_save_leaves_the_older_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_of().save(tmp_path / "saved")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        dataset_of(user_id=pl.lit("cem")).save(tmp_path / "saved")
    assert os.listdir(tmp_path) == ["saved"]
    assert Dataset.load(tmp_path / "saved").users.ids.to_list() == ["ann", "ben"]


def test_only_a_saved_dataset_can_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"is not a saved dataset: it has no dataset\.json"):
        Dataset.load(tmp_path)
    dataset_of().save(tmp_path / "saved")
    manifest = tmp_path / "saved" / "dataset.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 99}))
    with pytest.raises(ArtifactError, match="has format version 99, this itemlm reads"):
        Dataset.load(tmp_path / "saved")
