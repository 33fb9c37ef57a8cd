"""Reading good data: every format, every way to name a column, every kind of id and moment."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.data.table import Table
from itemlm.data.values import as_milliseconds

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
        f"log.csv: took {taken[0]}, {taken[1]}, {taken[3]} (seconds since 1970), {taken[2]}.",
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


# --- Ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1", "20", "-3"], [-3, 1, 20]),
        (["1", "20", "007"], ["007", "1", "20"]),
        (["1", "20", "+3"], ["+3", "1", "20"]),
        (["1", "20", "3.0"], ["1", "20", "3.0"]),
        (["1", "20", "B3"], ["1", "20", "B3"]),
        (["1", "20", "9" * 25], ["1", "20", "9" * 25]),
    ],
)
def test_ids_are_integers_only_if_all_are_written_like_integers(
    tmp_path: Path, written: list[str], read: list[object]
) -> None:
    rows = [(user, item) for user in (1, 2) for item in written]
    path = write(tmp_path / "log.csv", text(",", rows, ("user_id", "item_id")))
    assert Dataset.from_files(path).items.ids.to_list() == read


def test_ids_of_both_files_decide_together(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "user,item\n1,7\n2,8\n")
    items = write(tmp_path / "items.csv", "item,title\n7,A\n8,B\n009,C\n")
    assert Dataset.from_files(log, items).items.ids.to_list() == ["7", "8", "009"]


def test_a_column_of_numbers_meets_a_column_of_digits() -> None:
    log = pl.DataFrame({"user": [1, 2], "item": ["7", "8"]})
    items = pl.DataFrame({"item": [8, 7]})
    assert Dataset.from_frames(log, items).items.ids.to_list() == [8, 7]


@pytest.mark.parametrize(
    ("ids", "read"),
    [
        (pl.Series([uuid.UUID(int=1), uuid.UUID(int=2)], dtype=pl.Object), None),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["a", "b"]),
        (pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"])), ["a", "b"]),
        (pl.Series([(2, 1), (1, 2)]), ["(1, 2)", "(2, 1)"]),
        (pl.Series([2.0, 1.0]), [1, 2]),
        (pl.Series([2.5, 1.0]), ["1.0", "2.5"]),
        (pl.Series([2, 1], dtype=pl.UInt8), [1, 2]),
        (pl.Series([2**64 - 1, 1], dtype=pl.UInt64), ["1", "18446744073709551615"]),
        (pl.Series([date(2020, 1, 2), date(2020, 1, 1)]), ["2020-01-01", "2020-01-02"]),
        (pl.Series([True, False]), ["false", "true"]),
    ],
)
def test_ids_of_frames_may_be_anything_that_has_a_text(
    ids: pl.Series, read: list[object] | None
) -> None:
    dataset = Dataset.from_frames(pl.DataFrame({"user": ids, "item": ids}))
    expected = read or [str(uuid.UUID(int=1)), str(uuid.UUID(int=2))]
    assert dataset.users.ids.to_list() == expected
    assert dataset.items.ids.to_list() == expected


# --- Moments --------------------------------------------------------------------------------------

NOON = 1_577_880_000_000  # 2020-01-01 12:00 UTC


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("2020-01-01", NOON - 12 * 3_600_000),
        ("20200101", NOON - 12 * 3_600_000),
        ("2020-01-01T12:00", NOON),
        ("2020-01-01 12:00:00", NOON),
        ("2020-01-01T12:00:00Z", NOON),
        ("2020-01-01 12:00:00 UTC", NOON),
        ("2020-01-01T14:00:00+02:00", NOON),
        ("2020-01-01T06:30:00-0530", NOON),
        ("2020-01-01T13:00:00+01", NOON),
        ("2020-01-01T12:00:00.250", NOON + 250),
        ("2020-01-01T12:00:00,250Z", NOON + 250),
        ("1577880000", NOON),
        ("1577880000.25", NOON + 250),
        ("1.57788E9", NOON),
        ("1577880000000", NOON),
        ("1577880000000000", NOON),
        ("1577880000000000000", NOON),
        ("-1000", -1_000_000),
        ("0", 0),
    ],
)
def test_moments_become_milliseconds(written: str, milliseconds: int) -> None:
    assert as_milliseconds(pl.Series([written]))[0].to_list() == [milliseconds]


@pytest.mark.parametrize(
    "unreadable",
    ["yesterday", "2020-13-01", "2020-02-30", "01/02/2020", "12:00", "2020-01-01T25:00", "nan"],
)
def test_what_is_no_moment_becomes_none(unreadable: str) -> None:
    column = pl.Series(["2020-01-01", "2020-01-02", unreadable])
    assert as_milliseconds(column)[0].is_null().to_list() == [False, False, True]


def test_one_column_has_one_unit() -> None:
    # The last value would be a moment in milliseconds among seconds: it cannot be told.
    moments, unit = as_milliseconds(pl.Series([1_500_000_000, 1_500_000_001, 1_500_000_002_000]))
    assert moments.to_list() == [1_500_000_000_000, 1_500_000_001_000, None]
    assert unit == "seconds since 1970"


def test_numbers_that_are_not_all_dates_are_seconds() -> None:
    moments, unit = as_milliseconds(pl.Series([20_200_131, 20_200_132]))
    assert moments.to_list() == [20_200_131_000, 20_200_132_000]
    assert unit == "seconds since 1970"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2020, 1, 1, 12, tzinfo=UTC),
        datetime(2020, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        datetime(2020, 1, 1, 12),
    ],
)
def test_datetimes_of_frames_are_utc_where_they_have_no_zone(moment: datetime) -> None:
    assert as_milliseconds(pl.Series([moment]))[0].to_list() == [NOON]


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
        }
    )
    dataset = Dataset.from_frames(log, items)
    dataset.save(tmp_path / "saved")
    assert Dataset.load(tmp_path / "saved").catalog.equals(dataset.catalog)
    assert dataset.catalog["thing"].to_list() == ["frozenset({1})", None]


# --- Frames ---------------------------------------------------------------------------------------


def test_lazy_frames_are_computed() -> None:
    frame = pl.LazyFrame(ROWS, schema=HEADER, orient="row")
    assert_is_the_log(Dataset.from_frames(frame))


def test_pandas_frames_are_read() -> None:
    pandas = pytest.importorskip("pandas")
    log = pandas.DataFrame(ROWS, columns=list(HEADER))
    log["timestamp"] = pandas.to_datetime(log["timestamp"], unit="s", utc=True)
    assert_is_the_log(Dataset.from_frames(log))
    items = pandas.DataFrame(
        {
            "title": ["A", None, "C"],
            "price": pandas.array([1, None, 3], dtype="Int64"),
            "kind": pandas.Categorical(["x", "y", "x"]),
            "tags": [["t"], np.array(["u", "v"]), None],
            "mixed": [1, "one", None],
            "new": [True, False, True],
        },
        index=pandas.Index([10, 20, 30], name="item_id"),
    )
    catalog = Dataset.from_frames(log, items).catalog
    assert catalog.to_dict(as_series=False) == {
        "item_id": [10, 20, 30],
        "title": ["A", None, "C"],
        "price": [1, None, 3],
        "kind": ["x", "y", "x"],
        "tags": [["t"], ["u", "v"], None],
        "mixed": ["1", "one", None],
        "new": [True, False, True],
    }


def test_pandas_ids_may_be_any_object() -> None:
    pandas = pytest.importorskip("pandas")
    ids = [("a", 1), ("b", 2)]
    users = [uuid.UUID(int=2), uuid.UUID(int=1)]
    dataset = Dataset.from_frames(pandas.DataFrame({"user": users, "item": ids}))
    assert dataset.items.ids.to_list() == ["('a', 1)", "('b', 2)"]
    assert dataset.users.ids.to_list() == [str(user) for user in reversed(users)]


def test_whole_floats_of_pandas_are_integers_again() -> None:
    # One missing value makes pandas turn a column of integers into floats.
    pandas = pytest.importorskip("pandas")
    log = pandas.DataFrame({"user": [1, 2, None], "item": [7, 8, 9]})
    dataset = Dataset.from_frames(log, on_error="drop")
    assert dataset.users.ids.to_list() == [1, 2]


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
import pandas
from itemlm.data.dataset import Dataset
log = pandas.DataFrame({"user": ["a", "b"], "item": pandas.Categorical(["x", "y"])})
print(Dataset.from_frames(log).items.ids.to_list())
"""
WITHOUT_PANDAS = """
import sys, polars
from itemlm.data.dataset import Dataset
Dataset.from_frames(polars.DataFrame({"user": [1, 2], "item": [1, 2]}))
print(sorted({"pandas", "torch", "matplotlib", "sklearn"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("program", "printed"), [(WITHOUT_PYARROW, "['x', 'y']"), (WITHOUT_PANDAS, "[]")]
)
def test_neither_pyarrow_nor_pandas_is_needed(program: str, printed: str) -> None:
    if "import pandas" in program:
        pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == printed, done.stderr


def test_a_row_remembers_its_line_when_others_have_gone() -> None:
    frame = pl.DataFrame({"x": [1, 2, 3]})
    table = Table(name="t", frame=frame, places=np.array([2, 5, 9]), unit="line", on_error="drop")
    left = table.reject(np.array([True, False, False]), "a 1", str)
    assert left.where(1) == "t, line 9"
    assert left.notes == ("t: dropped 1 row with a 1 (first: line 2).",)
