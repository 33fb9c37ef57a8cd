"""Reading good data: every format, every way to name a column, every kind of id and moment."""

from __future__ import annotations

import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.data.files import read_table
from itemlm.types import DataError

# Two users, three items. Anna had 10, then 20; Ben had 20, then 30, then 10.
ROWS = [
    ("anna", 10, 4.0, 1_500_000_000),
    ("ben", 20, 5.0, 1_500_000_100),
    ("anna", 20, 3.0, 1_500_000_200),
    ("ben", 30, 2.5, 1_500_000_300),
    ("ben", 10, 1.0, 1_500_000_400),
]
HEADER = ("user_id", "item_id", "rating", "timestamp")


def text(separator: str, rows: object = ROWS, header: object = HEADER) -> str:
    return "".join(f"{separator.join(map(str, row))}\n" for row in (header, *rows))  # type: ignore


def history(dataset: Dataset, user: object) -> list[object]:
    return list(dataset.query(user).history)  # type: ignore[arg-type]


def assert_is_the_log(dataset: Dataset) -> None:
    assert dataset.users.ids.to_list() == ["anna", "ben"]
    assert history(dataset, "anna") == [10, 20]
    assert history(dataset, "ben") == [20, 30, 10]
    assert dataset.sequences.values is not None
    assert dataset.sequences.values.tolist() == [4.0, 3.0, 5.0, 2.5, 1.0]
    assert dataset.sequences.timestamps is not None
    assert dataset.sequences.timestamps.tolist() == [
        1_500_000_000_000,
        1_500_000_200_000,
        1_500_000_100_000,
        1_500_000_300_000,
        1_500_000_400_000,
    ]


# --- Formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_separator_of_a_text_file_is_found(
    tmp_path: Path, separator: str, newline: str
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(text(separator).replace("\n", newline).encode())
    dataset = Dataset.from_files(path)
    assert_is_the_log(dataset)
    assert dataset.name == "log"


def write(path: Path, content: str) -> Path:
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.inter", "log", "log.dat.gz"])
def test_text_files_are_read_whatever_they_are_called(tmp_path: Path, name: str) -> None:
    assert_is_the_log(Dataset.from_files(write(tmp_path / name, text(","))))


@pytest.mark.parametrize("name", ["log.jsonl", "log.json", "log.ndjson.gz", "log"])
def test_json_lines_are_read(tmp_path: Path, name: str) -> None:
    lines = [json.dumps(dict(zip(HEADER, row, strict=True))) for row in ROWS]
    assert_is_the_log(Dataset.from_files(write(tmp_path / name, "\n".join(lines))))


def test_of_a_parquet_log_only_the_columns_in_use_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log[1]*.parquet"  # a name, not a pattern
    wide = {"review": ["good", "bad"], "user": [1, 2], "item": [3, 4], "price": [1.0, 2.0]}
    pl.DataFrame(wide).write_parquet(path)
    table = read_table(
        path, "events", encoding="utf-8", on_error="stop", needed=lambda header: header[1:3]
    )
    assert table.frame.columns == ["user", "item"]
    assert table.header == list(wide)
    assert Dataset.from_files(path).events.rows() == [(1, 3), (2, 4)]
    assert Dataset.from_files(path, columns={"value": "price"}).events.rows()[0] == (1, 3, 1.0)
    with pytest.raises(DataError, match="The columns are 'review', 'user', 'item', 'price'"):
        Dataset.from_files(path, columns={"value": "stars"})


@pytest.mark.parametrize("name", ["log.parquet", "log.pq.gz", "log"])
def test_parquet_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pl.DataFrame(ROWS, schema=HEADER, orient="row").write_parquet(path)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert_is_the_log(Dataset.from_files(path))


def test_atomic_files_say_what_their_columns_hold(tmp_path: Path) -> None:
    log = write(
        tmp_path / "ml.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        '1\t7\t3\t881250949\n2\t8\t"4"\t8.8125095E8\n',
    )
    items = write(
        tmp_path / "ml.item",
        "item_id:token\ttitle:token_seq\tyear:token\tprice:float\tembedding:float_seq\n"
        '7\t"Heat" of 1995\t1995\t2\t0.5 1.5\n8\tUp\t2009\t\t\n',
    )
    users = write(tmp_path / "ml.user", "user_id:token\tage:token\n1\t24\n2\t53\n")
    dataset = Dataset.from_files(log, items, users)
    assert dataset.catalog.to_dicts() == [
        {
            "item_id": 7,
            "title": ['"Heat"', "of", "1995"],
            "year": "1995",
            "price": 2.0,
            "embedding": [0.5, 1.5],
        },
        {"item_id": 8, "title": ["Up"], "year": "2009", "price": None, "embedding": None},
    ]
    assert dataset.profiles is not None
    assert dataset.profiles.to_dicts() == [
        {"user_id": 1, "age": "24"},
        {"user_id": 2, "age": "53"},
    ]
    assert dataset.sequences.timestamps is not None
    assert dataset.sequences.timestamps.tolist() == [881_250_949_000, 881_250_950_000]


def test_a_file_without_header_has_numbered_columns(tmp_path: Path) -> None:
    log = write(tmp_path / "u.data", "".join(f"{u}\t{i}\t3\t{u}\n" for u in (1, 2) for i in (5, 6)))
    items = write(tmp_path / "u.item", "6|Up|animation\n5|Heat|crime\n")
    columns = {"user_id": "column_1", "item_id": "column_2", "timestamp": "column_4"}
    dataset = Dataset.from_files(log, items, columns=columns)
    # column_2 of the events is an item, column_2 of the catalog is a title: its id comes first.
    assert dataset.catalog.to_dicts()[0] == {
        "item_id": 6,
        "column_2": "Up",
        "column_3": "animation",
    }
    assert history(dataset, 1) == [5, 6]
    assert "u.data has no header line; its columns are called column_1 to column_4." in (
        dataset.notes
    )


def test_quotation_marks_enclose_separators_and_line_breaks(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", text(","))
    items = write(
        tmp_path / "items.csv",
        'item_id,title\n10,"Me, myself"\n20,"two\nlines"\n30,"she said ""no"""\n',
    )
    titles = Dataset.from_files(log, items).catalog["title"].to_list()
    assert titles == ["Me, myself", "two\nlines", 'she said "no"']


def test_in_tab_files_a_lone_quotation_mark_is_text(tmp_path: Path) -> None:
    log = write(tmp_path / "log.tsv", text("\t"))
    items = write(
        tmp_path / "items.tsv",
        'item_id\ttitle\n10\t"Weird Al" lives\n20\t"Open\n30\t"in ""marks"""\n',
    )
    titles = Dataset.from_files(log, items).catalog["title"].to_list()
    assert titles == ['"Weird Al" lives', '"Open', 'in "marks"']


@pytest.mark.parametrize(
    "content",
    [
        text(","),
        text("\t"),
        text("::"),
        text(",").replace("anna", '"anna"').replace("\n", "\r\n"),
        text(",", [("anna", 10, "", 1), ("ben", '"2\n""0"""', "", 2)]).replace("rating", "note"),
    ],
)
def test_even_files_are_never_read_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    def slow(*_: object) -> None:
        raise AssertionError("read line by line")

    monkeypatch.setattr("itemlm.data.delimited._slow", slow)
    path = tmp_path / "log.csv"
    path.write_bytes(content.encode())
    assert Dataset.from_files(path).users.ids.to_list() == ["anna", "ben"]


def test_spaces_blank_lines_and_a_byte_order_mark_are_no_data(tmp_path: Path) -> None:
    content = "\ufeff\n user_id , item_id\n\n anna ,10\nben, 20 \n\n"
    dataset = Dataset.from_files(write(tmp_path / "log.csv", content))
    assert dataset.users.ids.to_list() == ["anna", "ben"]
    assert dataset.items.ids.to_list() == [10, 20]


def test_another_encoding_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes("user_id,item_id\nanna,Café\nben,Übel\n".encode("latin-1"))
    assert Dataset.from_files(path, encoding="latin-1").items.ids.to_list() == ["Café", "Übel"]


# --- Columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        ("userId", "movieId", "rating", "timestamp"),
        ("USER-ID", "Item ID", "Weight", "Time"),
        ("reviewerID", "asin", "overall", "unixReviewTime"),
        ("visitorid", "itemid", "score", "ts"),
        ("customer_id", "SKU", "value", "event_time"),
        ("uid", "product_id", "stars", "datetime"),
    ],
)
def test_columns_are_guessed_from_the_usual_names(tmp_path: Path, header: tuple[str, ...]) -> None:
    path = write(tmp_path / "log.csv", text(",", header=header))
    dataset = Dataset.from_files(path)
    assert_is_the_log(dataset)
    taken = [
        ours if ours == theirs else f"'{theirs}' as {ours}"
        for ours, theirs in zip(("user_id", "item_id", "value", "timestamp"), header, strict=True)
    ]
    assert dataset.notes == (
        f"log.csv: took {taken[0]}, {taken[1]}, {taken[3]}, {taken[2]}. Timestamps are seconds "
        "since 1970.",
    )


def test_the_parent_product_counts_before_its_variants() -> None:
    log = pl.DataFrame({"user": [1, 2], "asin": ["v1", "v2"], "parent_asin": ["p", "q"]})
    items = pl.DataFrame({"parent_asin": ["p", "q"], "title": ["P", "Q"]})
    assert Dataset.from_frames(log, items).items.ids.to_list() == ["p", "q"]


def test_columns_overrule_the_guess() -> None:
    log = pl.DataFrame({"user_id": [1, 1], "who": [7, 8], "item_id": [1, 2], "thing": ["a", "b"]})
    dataset = Dataset.from_frames(log, columns={"user_id": "who", "item_id": "thing"})
    assert dataset.users.ids.to_list() == [7, 8]
    assert dataset.items.ids.to_list() == ["a", "b"]


def test_a_catalog_may_name_its_id_otherwise() -> None:
    log = pl.DataFrame({"user": [1, 2], "thing": ["a", "b"]})
    items = pl.DataFrame({"title": ["B", "A"], "id": ["b", "a"]})
    dataset = Dataset.from_frames(log, items, columns={"item_id": "thing"})
    assert dataset.catalog.to_dict(as_series=False) == {"item_id": ["b", "a"], "title": ["B", "A"]}


def test_a_catalog_is_read_by_the_name_that_the_events_use() -> None:
    # Both files have `asin`; the catalog's own row number `item_id` is a further column.
    log = pl.DataFrame({"user": [1, 2], "asin": ["a", "b"]})
    items = pl.DataFrame({"item_id": [1, 2], "asin": ["b", "a"]})
    dataset = Dataset.from_frames(log, items)
    assert dataset.catalog.to_dict(as_series=False) == {"item_id": ["b", "a"], "item_id_2": [1, 2]}


def test_the_chosen_column_counts_before_the_one_that_the_events_use() -> None:
    log = pl.DataFrame({"user": [1, 2], "asin": ["a", "b"]})
    items = pl.DataFrame({"asin": ["x", "y"], "code": ["b", "a"]})
    dataset = Dataset.from_frames(log, items, columns={"item_id": "code"})
    assert dataset.items.ids.to_list() == ["b", "a"]


def test_columns_of_one_name_are_numbered(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "user,item\n1,a\n2,b\n")
    items = write(tmp_path / "items.csv", ",item,x,x,x_2,\n0,a,A,B,C,D\n1,b,E,F,G,H\n")
    columns = Dataset.from_files(log, items).catalog.columns
    assert columns == ["item_id", "column_1", "x", "x_2", "x_2_2", "column_6"]


def test_an_empty_name_leaves_a_column_out() -> None:
    log = pl.DataFrame(
        {"user": [1, 2], "item": [1, 2], "date": ["once", "upon"], "score": ["", ""]}
    )
    dataset = Dataset.from_frames(log, columns={"timestamp": "", "value": ""})
    assert dataset.sequences.timestamps is None
    assert dataset.sequences.values is None


def test_without_timestamps_the_order_of_rows_counts_and_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", "user,item\nann,3\nben,1\nann,1\nann,2\n")
    dataset = Dataset.from_files(path)
    assert history(dataset, "ann") == [3, 1, 2]
    assert dataset.notes == (
        "log.csv: took 'user' as user_id, 'item' as item_id. It has no timestamps: the order of "
        "its rows is taken as the order of events.",
    )


# --- What is known of items and users -------------------------------------------------------------


def test_text_files_hold_numbers_truths_lists_and_text(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", text(","))
    items = write(
        tmp_path / "items.csv",
        "item_id,title,year,price,zip,new,genres,nothing\n"
        "10,Heat,1995,9.5,00123,true,crime|drama,\n"
        "20,Se7en,1995,NaN,01234,FALSE,crime,\n"
        "30,,,12,99999,,,\n",
    )
    dataset = Dataset.from_files(log, items)
    assert dataset.catalog.to_dict(as_series=False) == {
        "item_id": [10, 20, 30],
        "title": ["Heat", "Se7en", None],
        "year": [1995, 1995, None],
        "price": [9.5, None, 12.0],
        "zip": ["00123", "01234", "99999"],
        "new": [True, False, None],
        "genres": [["crime", "drama"], ["crime"], None],
        "nothing": [None, None, None],
    }
    assert dataset.notes[-1] == "items.csv: took item_id. Split at '|' into lists: 'genres'."


def test_titles_with_a_bar_stay_text(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", text(","))
    items = write(tmp_path / "items.csv", "item_id,title\n10,A | B\n20,C\n30,D|E\n")
    assert Dataset.from_files(log, items).catalog["title"].to_list() == ["A | B", "C", "D|E"]


def test_json_lines_keep_lists_and_write_records_as_text(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "user,item\n1,a\n2,b\n")
    items = write(
        tmp_path / "items.jsonl",
        '{"item": "a", "tags": ["x", "y"], "details": {"Size": "L"}, "images": [{"url": "u"}]}\n'
        '{"item": "b", "tags": [], "details": null, "price": 3}\n',
    )
    assert Dataset.from_files(log, items).catalog.to_dicts() == [
        {
            "item_id": "a",
            "tags": ["x", "y"],
            "details": '{"Size":"L"}',
            "images": '[{"url":"u"}]',
            "price": None,
        },
        {"item_id": "b", "tags": [], "details": None, "images": None, "price": 3},
    ]


def test_json_values_of_several_types_become_text(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "user,item\n1,a\n2,b\n")
    items = write(
        tmp_path / "items.jsonl", '{"item": "a", "x": 1}\n{"item": "b", "x": [1, "two"]}\n'
    )
    assert Dataset.from_files(log, items).catalog["x"].to_list() == ["1", '[1, "two"]']
    items.write_text('{"item": "a", "x": 1, "y": [1]}\n{"item": "b", "x": 2.5, "y": "z"}\n\n')
    assert Dataset.from_files(log, items).catalog["x"].to_list() == [1.0, 2.5]


def test_catalog_keeps_its_order_and_items_without_events() -> None:
    log = pl.DataFrame({"user": [1, 2], "item": ["b", "a"]})
    items = pl.DataFrame({"item": ["c", "b", "a"], "title": ["C", "B", "A"]})
    dataset = Dataset.from_frames(log, items)
    assert dataset.catalog["title"].to_list() == ["C", "B", "A"]
    assert dataset.item_counts.tolist() == [0, 1, 1]


def test_profiles_follow_the_users_of_the_log() -> None:
    log = pl.DataFrame({"user": [2, 1], "item": ["a", "b"]})
    users = pl.DataFrame({"age": [30, 90], "user": [2, 9]})
    dataset = Dataset.from_frames(log, users=users)
    assert dataset.profiles is not None
    assert dataset.profiles.to_dict(as_series=False) == {"user_id": [1, 2], "age": [None, 30]}


def test_a_dataset_with_every_kind_of_column_can_be_saved(tmp_path: Path) -> None:
    log = pl.DataFrame({"user": [1, 2], "item": ["a", "b"]})
    items = pl.DataFrame(
        {
            "item": ["a", "b"],
            "empty": [{}, {}],
            "kind": pl.Series(["p", None], dtype=pl.Categorical),
            "thing": pl.Series([frozenset([1]), None], dtype=pl.Object),
            "lists": [[], []],
            "none": [None, None],
            "day": [date(2020, 1, 1), None],
            "cost": [Decimal("1.50"), None],
        }
    )
    dataset = Dataset.from_frames(log, items)
    dataset.save(tmp_path / "saved")
    assert Dataset.load(tmp_path / "saved").catalog.equals(dataset.catalog)
    assert dataset.catalog["thing"].to_list() == ["frozenset({1})", None]
