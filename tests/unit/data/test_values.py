"""What values mean: which ids are integers, which moment a timestamp is, what is a number."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.data.dataset import Dataset
from itemlm.data.values import as_milliseconds, as_numbers


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


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
    rows = [f"{user},{item}\n" for user in (1, 2) for item in written]
    path = write(tmp_path / "log.csv", "user_id,item_id\n" + "".join(rows))
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
        ("99999999999", 99_999_999_999_000),  # the last number that is read as seconds
        ("100000000000", 100_000_000_000),  # the first as milliseconds
        ("99999999999999", 99_999_999_999_999),
        ("100000000000000", 100_000_000_000),
        ("-1000", -1_000_000),
        ("0", 0),
    ],
)
def test_moments_become_milliseconds(written: str, milliseconds: int) -> None:
    assert as_milliseconds(pl.Series([written]))[0].to_list() == [milliseconds]


def test_moments_beyond_all_reason_are_unreadable() -> None:
    assert as_milliseconds(pl.Series([1e300, 1e300]))[0].to_list() == [None, None]


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


@settings(max_examples=80, deadline=None)
@given(st.lists(st.none() | st.integers(-(2**52), 2**52), max_size=8), st.sampled_from([0, 20, 40]))
def test_whole_numbers_are_the_same_moments_as_floats(
    numbers: list[int | None], fewer_bits: int
) -> None:
    smaller = [None if number is None else number >> fewer_bits for number in numbers]
    whole, unit = as_milliseconds(pl.Series(smaller, dtype=pl.Int64))
    floats, same_unit = as_milliseconds(pl.Series(smaller, dtype=pl.Float64))
    assert whole.to_list() == floats.to_list()
    assert whole.dtype == floats.dtype == pl.Int64
    assert unit == same_unit


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


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (pl.Series([" 1", "2.5", "1e3", "x", "", None, "inf"]), [1, 2.5, 1000, *[None] * 4]),
        (pl.Series([1, None, 3]), [1, None, 3]),
        (pl.Series([float("nan"), 2.0]), [None, 2]),
        (pl.Series([True, False]), [1, 0]),
        (pl.Series([Decimal("1.5")]), [1.5]),
        (pl.Series(["1", "2"], dtype=pl.Categorical), [1, 2]),
        (pl.Series([3, "x"], dtype=pl.Object), [3, None]),
        (pl.Series([[1], [2]]), [None, None]),
    ],
)
def test_values_are_finite_numbers_or_none(column: pl.Series, numbers: list[float | None]) -> None:
    assert as_numbers(column).to_list() == numbers
