"""Bad input: every mistake ends in one sentence with place, value and fix, never in a traceback.

With on_error="drop" bad rows are left out and counted; what concerns a whole file still stops.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.types import ConfigError, DataError, ItemlmError, UnknownName

MEND = "Mend it, or leave such rows out with on_error='drop' (--on-error drop)."
MOMENTS = (
    "It can be an ISO date or date-time (2020-01-31, 2020-01-31T23:59:59+02:00) or a number of "
    "seconds, milli-, micro- or nanoseconds since 1970, the same in the whole column. To do "
    "without the timestamps, give columns={'timestamp': ''}."
)
GOOD = "user_id,item_id,rating,timestamp\nann,1,5,1500000000\nben,2,4,1500000001\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(GOOD)
    return path


def added(log: Path, line: str) -> Path:
    """The good log with one more line, its fourth."""
    log.write_text(GOOD + line + "\n")
    return log


def message(log: object, *further: object, **options: object) -> str:
    with pytest.raises(ItemlmError) as caught:
        Dataset.from_files(log, *further, **options)  # type: ignore[arg-type]
    return str(caught.value)


# --- Rows -----------------------------------------------------------------------------------------

BAD_ROWS = {
    "ben,,3,1500000002": (
        f"log.csv, line 4: the item id is empty, but every row needs one. {MEND}",
        "log.csv: dropped 1 row with no usable item_id (first: line 4).",
    ),
    "NaN,2,3,1500000002": (
        f"log.csv, line 4: the user id is 'NaN', but every row needs one. {MEND}",
        "log.csv: dropped 1 row with no usable user_id (first: line 4).",
    ),
    "ben,2,five,1500000002": (
        "log.csv, line 4: the value is 'five'. It can be any number. To do without the values, "
        f"give columns={{'value': ''}}. {MEND}",
        "log.csv: dropped 1 row with no usable value (first: line 4).",
    ),
    "ben,2,inf,1500000002": (
        "log.csv, line 4: the value is 'inf'. It can be any number. To do without the values, "
        f"give columns={{'value': ''}}. {MEND}",
        "log.csv: dropped 1 row with no usable value (first: line 4).",
    ),
    "ben,2,3,yesterday": (
        f"log.csv, line 4: the timestamp is 'yesterday'. {MOMENTS} {MEND}",
        "log.csv: dropped 1 row with no usable timestamp (first: line 4).",
    ),
    "ben,2,3,1500000002000": (  # milliseconds among seconds
        f"log.csv, line 4: the timestamp is '1500000002000'. {MOMENTS} {MEND}",
        "log.csv: dropped 1 row with no usable timestamp (first: line 4).",
    ),
    "ben,2,3,": (
        f"log.csv, line 4: the timestamp is empty. {MOMENTS} {MEND}",
        "log.csv: dropped 1 row with no usable timestamp (first: line 4).",
    ),
    "ben,2,3": (
        f"log.csv, line 4: it has 3 fields where the first line has 4. {MEND}",
        "log.csv: dropped 1 line with too few or too many fields (first: line 4).",
    ),
    "ben,2,3,1500000002,9": (
        f"log.csv, line 4: it has 5 fields where the first line has 4. {MEND}",
        "log.csv: dropped 1 line with too few or too many fields (first: line 4).",
    ),
}


@pytest.mark.parametrize("line", BAD_ROWS)
def test_a_bad_row_stops_with_a_sentence_or_is_dropped_and_counted(log: Path, line: str) -> None:
    sentence, note = BAD_ROWS[line]
    added(log, line)
    assert message(log) == sentence
    dataset = Dataset.from_files(log, on_error="drop")
    assert len(dataset.sequences.item_rows) == 2
    assert note in dataset.notes


def test_lines_are_counted_over_blank_lines_and_line_breaks_in_text(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('\nuser,item,note\nann,1,"two\nlines"\n\nben,,x\n')
    # Line 1 is blank, the header is line 2, Ann's row lines 3 and 4, line 5 is blank.
    assert message(path).startswith("log.csv, line 6: the item id is empty")


def test_dropped_rows_are_told_apart_by_what_was_wrong(log: Path) -> None:
    log.write_text(GOOD + "ben,,4,1500000002\n,1,4,1500000002\n,2,4,1500000003\nann,2,x,1\nann\n")
    assert Dataset.from_files(log, on_error="drop").notes[:-1] == (
        "log.csv: dropped 1 line with too few or too many fields (first: line 8).",
        "log.csv: took user_id, item_id, timestamp, 'rating' as value. Timestamps are seconds "
        "since 1970.",
        "log.csv: dropped 2 rows with no usable user_id (first: line 5).",
        "log.csv: dropped 1 row with no usable item_id (first: line 4).",
    )


def test_rows_of_frames_are_counted_from_zero() -> None:
    frame = pl.DataFrame({"user": ["ann", "ben", None], "item": [1, 2, 3]})
    with pytest.raises(DataError, match=r"^the events frame, row 2 \(counted from 0\): the user"):
        Dataset.from_frames(frame)


def test_fully_duplicate_rows_are_no_mistake(log: Path) -> None:
    added(log, "ben,2,4,1500000001")
    assert len(Dataset.from_files(log).sequences.item_rows) == 3


def test_nothing_left_after_dropping_says_so(log: Path) -> None:
    log.write_text("user_id,item_id\n,1\n,2\n")
    assert message(log, on_error="drop") == (
        "log.csv has no rows that can be used. log.csv: took user_id, item_id. It has no "
        "timestamps: the order of its rows is taken as the order of events. log.csv: dropped 2 "
        "rows with no usable user_id (first: line 2)."
    )


# --- Catalogs and profiles ------------------------------------------------------------------------


def test_an_event_of_an_unknown_item(log: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\n1,Heat\n3,Up\n")
    assert message(log, items) == (
        "log.csv, line 3: item 2 is not in items.csv (1 of 2 events name items that are missing "
        f"there). {MEND}"
    )
    added(log, "cem,3,5,1500000002")
    dataset = Dataset.from_files(log, items, on_error="drop")
    assert dataset.users.ids.to_list() == ["ann", "cem"]
    assert "log.csv: dropped 1 row with an item that items.csv lacks (first: line 3)." in (
        dataset.notes
    )


def test_dropping_the_one_strange_id_leaves_integers(log: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id\n1\n2\n")
    dataset = Dataset.from_files(added(log, "ben,B7,1,1500000002"), items, on_error="drop")
    assert dataset.items.ids.to_list() == [1, 2]


@pytest.mark.parametrize("what", ["items", "users"])
def test_an_id_that_stands_twice(log: Path, tmp_path: Path, what: str) -> None:
    role = what[:-1]
    ids = ("1", "2") if what == "items" else ("ann", "ben")
    path = tmp_path / f"{what}.csv"
    path.write_text(f"{role},x\n{ids[0]},A\n{ids[1]},B\n{ids[0]},C\n")
    assert message(log, **{what: path}) == (
        f"{what}.csv, line 4: {role}_id {ids[0]!r} stands a second time (first: {what}.csv, line "
        f"2). {MEND}"
    )
    dataset = Dataset.from_files(log, **{what: path}, on_error="drop")
    table = dataset.catalog if what == "items" else dataset.profiles
    assert table is not None
    assert table["x"].to_list() == ["A", "B"]


def test_an_item_without_id(log: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\n1,Heat\n,Up\n2,Cars\n")
    assert message(log, items) == (
        f"items.csv, line 3: the item id is empty, but every row needs one. {MEND}"
    )
    assert len(Dataset.from_files(log, items, on_error="drop").items) == 2


# --- Columns --------------------------------------------------------------------------------------


def test_a_missing_column_lists_those_there_are(log: Path) -> None:
    log.write_text("customer,thing,when\nann,1,2020-01-01\nben,2,2020-01-02\n")
    assert message(log) == (
        "log.csv has no column that looks like the item id. Its columns are 'customer', 'thing', "
        "'when'. Name the right one, as in columns={'item_id': 'customer'} (--column "
        "item_id=customer)."
    )


def test_a_missing_header_is_told(log: Path) -> None:
    log.write_text("1,10\n2,20\n")
    assert message(log) == (
        "log.csv (which has no header line) has no column that looks like the user id. Its columns "
        "are 'column_1', 'column_2'. Name the right one, as in columns={'user_id': 'column_1'} "
        "(--column user_id=column_1)."
    )


def test_a_named_column_that_is_not_there(log: Path) -> None:
    assert message(log, columns={"value": "ratings"}) == (
        "columns={'value': 'ratings'} names a column that is not there. Did you mean 'rating'? "
        "The columns are 'user_id', 'item_id', 'rating', 'timestamp'."
    )


def test_a_role_that_does_not_exist(log: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'user_id'"):
        Dataset.from_files(log, columns={"user": "user_id"})


def test_one_column_cannot_be_two_things(log: Path) -> None:
    columns = {"user_id": "item_id"}
    assert message(log, columns=columns) == (
        "log.csv: column 'item_id' cannot be both user_id and item_id."
    )


def test_neither_user_nor_item_can_be_left_out(log: Path) -> None:
    assert "names a column that is not there" in message(log, columns={"user_id": ""})


def test_long_headers_are_shortened(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("x" * 1000 + "," + ",".join(f"c{n}" for n in range(50)) + "\n" + "," * 50)
    said = message(path)
    assert "'" + "x" * 40 + "…', 'c0'" in said
    assert "'c28' and 21 more. Name the right one, as in columns={'user_id': 'NAME'}" in said


# --- The whole ------------------------------------------------------------------------------------


def test_only_one_user(log: Path) -> None:
    log.write_text("user,item\nann,1\nann,2\n")
    assert message(log) == (
        "log.csv holds the events of one user only ('ann'). What people have in common can be "
        "learned from two users or more. Is 'user' the right column? Name another with "
        "columns={'user_id': ...} (--column user_id=...)."
    )


def test_frames_and_paths_are_not_mistaken_for_each_other(log: Path) -> None:
    assert message(pl.DataFrame()) == (
        "the events are a DataFrame, not a path. Use Dataset.from_frames for Polars and pandas "
        "frames."
    )
    with pytest.raises(DataError, match=r"the events are a str, not .* Use Dataset.from_files"):
        Dataset.from_frames(str(log))  # type: ignore[arg-type]


def test_a_lazy_frame_that_cannot_be_computed() -> None:
    frame = pl.LazyFrame({"user": [1, 2]}).select("item")
    with pytest.raises(DataError, match=r"^the lazy events frame cannot be computed: .*item"):
        Dataset.from_frames(frame)


def test_two_columns_of_one_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2, 3]], columns=["user", "item", "item"])
    with pytest.raises(DataError, match="has more than one column 'item'; rename them"):
        Dataset.from_frames(frame)


def test_on_error_has_two_choices(log: Path) -> None:
    with pytest.raises(ConfigError, match="on_error is 'skip', but it can only be 'stop' or"):
        Dataset.from_files(log, on_error="skip")  # type: ignore[arg-type]
