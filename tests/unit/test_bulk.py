"""Everyone is answered: as by asking one by one, in a file that is whole or not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from itemlm import fit
from itemlm.bulk import recommend_all
from itemlm.data.dataset import Dataset
from itemlm.data.sequences import Sequences
from itemlm.data.vocabulary import Vocabulary
from itemlm.data.world import world
from itemlm.recommender import Catalog, Recommender
from itemlm.types import ArtifactError, ConfigError, DataError


@pytest.fixture(scope="module")
def dataset():
    """40 viewers of 30 films; the last viewer did nothing."""
    small = world(users=40, items=30, mean_history=6).dataset
    offsets = small.sequences.offsets.copy()
    offsets[-1] = offsets[-2]
    sequences = Sequences(offsets=offsets, item_rows=small.sequences.item_rows[: offsets[-1]])
    return replace(small, sequences=sequences)


@pytest.fixture(scope="module")
def recommender(dataset):
    return fit("itemknn", dataset)


def one_by_one(recommender, dataset, k, **filters):
    """What `recommend` answers to each user, as rows."""
    rows = []
    for user in dataset.users.ids.to_list():
        slate = recommender.recommend(dataset.query(user), k, **filters)
        places = zip(slate.items, slate.scores, strict=True)
        rows += [(user, place, item, score) for place, (item, score) in enumerate(places, 1)]
    return rows


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
@pytest.mark.parametrize(
    "filters",
    [{}, {"only": {"genres": "drama"}}, {"without": pl.col("year") < 1990, "exclude_seen": False}],
    ids=["all", "only", "without"],
)
def test_everyone_gets_what_they_would_get_alone(
    batch_size, filters, recommender, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("itemlm.bulk.PART_ROWS", 20)  # so that there are several parts
    path = tmp_path / "all.parquet"
    written = recommend_all(recommender, dataset, path, 4, batch_size=batch_size, **filters)
    found = pl.read_parquet(path)
    assert found.columns == ["user_id", "place", "item_id", "score"]
    assert found.rows() == one_by_one(recommender, dataset, 4, **filters)
    assert (written.users, written.rows, written.strangers) == (40, found.height, 1)
    assert dataset.users.ids[-1] in found["user_id"]


class OneEach(Recommender):
    """To the person in row r the item in row r, to strangers the first; it knows every third."""

    def __init__(self, dataset):
        super().__init__(Catalog.of(dataset), None)
        self.users = Vocabulary(dataset.users.ids.gather_every(3))

    def topk(self, batch, k):
        rows_BK = np.full((len(batch), k), -1)
        rows_BK[:, 0] = np.maximum(batch.user_rows, 0)
        return rows_BK, np.where(rows_BK >= 0, 1.0, -np.inf)

    def state(self):
        return {}


def test_models_that_know_people_are_told_who_asks(dataset, tmp_path):
    model = OneEach(dataset)
    recommend_all(model, dataset, tmp_path / "all.parquet", 3, batch_size=16)
    found = pl.read_parquet(tmp_path / "all.parquet")
    assert found.rows() == one_by_one(model, dataset, 3)
    assert found["item_id"][3] == dataset.items.ids[1]  # the fourth user is the second it knows


def test_numbers_stay_numbers_in_every_format(tmp_path):
    # Whoever took 1 took 2, and 3 stands alone; 9 was never seen when the model was made.
    events = pl.DataFrame({"user_id": [7, 7, 8, 8, 5], "item_id": [1, 2, 1, 2, 3]})
    model = fit("itemknn", Dataset.from_frames(events))
    later = Dataset.from_frames(pl.DataFrame({"user_id": [7, 6], "item_id": [1, 9]}))
    written = recommend_all(model, later, tmp_path / "all.parquet", 1)
    recommend_all(model, later, tmp_path / "all.csv", 1)
    recommend_all(model, later, tmp_path / "all.jsonl", 1)
    found = pl.read_parquet(tmp_path / "all.parquet")
    assert found.schema == {
        "user_id": pl.Int64,
        "place": pl.Int32,
        "item_id": pl.Int64,
        "score": pl.Float64,
    }
    assert found["user_id"].to_list() == [6, 7]
    assert found["item_id"][1] == 2
    assert written.strangers == 1  # user 6, of whom only 9 is known
    for read in (pl.read_csv(tmp_path / "all.csv"), pl.read_ndjson(tmp_path / "all.jsonl")):
        assert read.rows() == found.rows()


def test_slates_that_cannot_be_filled_are_shorter(recommender, dataset, tmp_path):
    two = dataset.items.ids[:2].to_list()
    written = recommend_all(
        recommender, dataset, tmp_path / "all.parquet", 3, only=two, exclude_seen=False
    )
    assert (written.short, written.rows) == (40, 80)
    asked = recommend_all(recommender, dataset, tmp_path / "all.parquet", 2, exclude_seen=False)
    assert asked.short == 0


def test_an_interruption_leaves_the_old_file_and_nothing_else(
    recommender, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr("itemlm.bulk.PART_ROWS", 5)
    path = tmp_path / "all.parquet"
    path.write_text("old")
    answer, calls = recommender.topk, []

    def third_time_unlucky(batch, k):
        calls.append(k)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return answer(batch, k)

    monkeypatch.setattr(recommender, "topk", third_time_unlucky)
    with pytest.raises(KeyboardInterrupt):
        recommend_all(recommender, dataset, path, 4, batch_size=5)
    assert [entry.name for entry in tmp_path.iterdir()] == ["all.parquet"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("name", "settings", "error", "words"),
    [
        ("all.txt", {}, ConfigError, "no format with the suffix '.txt'"),
        ("folder.csv", {}, ArtifactError, "folder.csv is a folder"),
        ("all.csv", {"k": 0}, DataError, "k is 0"),
        ("all.csv", {"batch_size": 0}, ConfigError, "batch_size is 0"),
        ("all.csv", {"only": {"colour": "red"}}, DataError, "no column 'colour'"),
    ],
)
def test_mistakes_are_told(name, settings, error, words, recommender, dataset, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(error, match=words):
        recommend_all(recommender, dataset, tmp_path / name, **settings)
    assert {entry.name for entry in tmp_path.iterdir()} == {"folder.csv"}


def test_nobody_to_recommend_to(recommender, tmp_path):
    empty = Dataset.build(
        pl.DataFrame({"user_id": [], "item_id": []}, schema={"user_id": str, "item_id": str}),
        name="empty",
    )
    assert not np.any(empty.sequences.lengths)
    with pytest.raises(DataError, match="'empty' has no users"):
        recommend_all(recommender, empty, tmp_path / "all.csv")
