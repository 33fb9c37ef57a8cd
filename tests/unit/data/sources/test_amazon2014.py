"""Amazon reviews 2014, prepared and official, at toy size."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from itemlm.data.dataset import Dataset
from itemlm.data.sources import load
from itemlm.types import DataError

DAY = 86_400  # seconds


def write(folder: Path, files: dict[str, str]) -> Path:
    """A folder with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def json_lines(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def history(dataset: Dataset, user: int | str) -> list[int | str]:
    return list(dataset.query(user).history)


# --- The prepared form ------------------------------------------------------------------------

ITEMS = json_lines(
    {
        "item_id": 1,
        "asin": "B9",
        "title": "Balm",
        "categories": [["Beauty", "Face"], ["Beauty", "Lips"]],
        "brand": "Kirk&#39;s",
        "keywords": "balm",
    },
    {"item_id": 2, "asin": "B1", "title": "title_2", "categories": [["Beauty"]]},
    {"item_id": 3, "asin": "B5", "title": " Two\nlines ", "categories": [], "brand": " "},
)
HEADING = "user_id\titem_id\tposition\ttimestamp\n"


@pytest.fixture
def beauty(tmp_path: Path) -> Path:
    """Two users; user 1 lacks the middle time, user 2 has none."""
    events = f"1\t1\t0\t{DAY}\n1\t2\t1\t\n1\t3\t2\t{3 * DAY}\n2\t3\t0\t\n2\t1\t1\t\n"
    return write(
        tmp_path / "amazon2014-beauty",
        {"items.jsonl": ITEMS, "interactions.tsv": HEADING + events},
    )


def test_items_are_known_by_asin_so_that_numbers_cannot_tell_the_order(beauty: Path) -> None:
    dataset = load("amazon2014-beauty", beauty)
    assert dataset.items.ids.to_list() == ["B1", "B5", "B9"]
    assert history(dataset, 1) == ["B9", "B1", "B5"]
    assert dataset.catalog.columns == ["item_id", "title", "categories", "brand"]


def test_catalog_text_is_clean_and_null_where_nothing_is_known(beauty: Path) -> None:
    catalog = load("amazon2014-beauty", beauty).catalog
    # B1: "title_2" only repeats the item's number. B5: a brand of spaces is none.
    assert catalog["title"].to_list() == [None, "Two lines", "Balm"]
    assert catalog["categories"].to_list() == [["Beauty"], [], ["Beauty", "Face", "Lips"]]
    assert catalog["brand"].to_list() == [None, None, "Kirk's"]


def test_missing_times_come_from_the_event_before(beauty: Path) -> None:
    dataset = load("amazon2014-beauty", beauty)
    assert dataset.sequences.timestamps is not None
    # User 1 has days 1, -, 3: the gap takes day 1. User 2 has none at all and gets the median of
    # 1, 1, 3, which is day 1, one millisecond apart so that the published order stays.
    day = DAY * 1000
    assert dataset.sequences.timestamps.tolist() == [day, day, 3 * day, day, day + 1]
    assert history(dataset, 2) == ["B5", "B9"]
    assert any("3 of 5 timestamps are missing" in note for note in dataset.notes)


def test_a_first_time_that_is_missing_comes_from_the_event_after(beauty: Path) -> None:
    write(beauty, {"interactions.tsv": HEADING + f"1\t1\t0\t\n1\t2\t1\t{DAY}\n"})
    dataset = load("amazon2014-beauty", beauty)
    assert dataset.sequences.timestamps is not None
    assert dataset.sequences.timestamps.tolist() == [DAY * 1000, DAY * 1000]


def test_sequences_alone_give_order_without_time(tmp_path: Path) -> None:
    row = {"item_id": 7, "asin": "B7", "title": "Top", "categories": [["Toys"]]}
    other = {**row, "item_id": 8, "asin": "B2", "brand_inferred": "LEGO"}
    folder = write(
        tmp_path / "toys", {"items.jsonl": json_lines(row, other), "sequences.txt": "1 7 8\n2 8\n"}
    )
    dataset = load("amazon2014-toys", folder)
    assert dataset.sequences.timestamps is None
    assert history(dataset, 1) == ["B7", "B2"]
    assert dataset.catalog["brand"].to_list() == ["LEGO", None]
    assert any("inferred from titles, for 1 of 2 items" in note for note in dataset.notes)


def test_an_event_with_an_unlisted_item_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "toys", {"items.jsonl": ITEMS, "sequences.txt": "1 1 4\n"})
    with pytest.raises(DataError, match=r"item 4, which items\.jsonl lacks"):
        load("amazon2014-toys", folder)


# --- The official form ------------------------------------------------------------------------


@pytest.fixture
def sports(tmp_path: Path) -> Path:
    """Three reviews of two products, one of which has no metadata."""
    folder = tmp_path / "amazon2014-sports"
    folder.mkdir()
    reviews = [
        {"reviewerID": "AX", "asin": "0001", "overall": 5.0, "unixReviewTime": 2 * DAY},
        {"reviewerID": "AX", "asin": "B002", "overall": 1.0, "unixReviewTime": 1 * DAY},
        {"reviewerID": "AY", "asin": "0001", "overall": 3.0, "unixReviewTime": 1 * DAY},
    ]
    products: list[dict[str, object]] = [
        {"asin": "B999", "title": "Nobody reviewed this"},
        {
            "asin": "0001",
            "title": 'The "Ball" & it\'s bag &amp; pump',
            "description": "round",
            "related": {"also_bought": ["B999"], "buy_after_viewing": ["B002"]},
            "categories": [["Sports & Outdoors", "Balls"], ["Sports & Outdoors"]],
            "brand": "",
        },
    ]
    with gzip.open(folder / "reviews_Sports_and_Outdoors_5.json.gz", "wt") as file:
        file.write(
            json_lines(*[review | {"reviewText": "ok", "helpful": [0, 0]} for review in reviews])
        )
    with gzip.open(folder / "meta_Sports_and_Outdoors.json.gz", "wt") as file:
        file.writelines(repr(product) + "\n" for product in products)
    return folder


def test_the_official_form_gives_the_same_columns(sports: Path) -> None:
    dataset = load("amazon2014-sports", sports)
    assert history(dataset, "AX") == ["B002", "0001"]  # day 1, then day 2
    assert dataset.sequences.timestamps is not None
    assert dataset.sequences.timestamps.tolist() == [DAY * 1000, 2 * DAY * 1000, DAY * 1000]
    assert dataset.sequences.values is not None
    assert dataset.sequences.values.tolist() == [1.0, 5.0, 3.0]
    assert dataset.catalog.to_dicts() == [
        {
            "item_id": "0001",
            "title": 'The "Ball" & it\'s bag & pump',
            "categories": ["Sports & Outdoors", "Balls"],
            "brand": None,
        },
        {"item_id": "B002", "title": None, "categories": [], "brand": None},
    ]
    assert "1 items have no metadata." in dataset.notes


def test_metadata_is_parsed_and_never_run(sports: Path, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    with gzip.open(sports / "meta_Sports_and_Outdoors.json.gz", "wt") as file:
        file.write(f"{{'asin': '0001', 'title': open({str(trap)!r}, 'w').name}}\n")
    with pytest.raises(DataError, match="could not read Amazon reviews 2014, Sports"):
        load("amazon2014-sports", sports)
    assert not trap.exists()


def test_a_cut_archive_gets_a_sentence(sports: Path) -> None:
    path = sports / "reviews_Sports_and_Outdoors_5.json.gz"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="Replace the files with fresh ones from https://"):
        load("amazon2014-sports", sports)
