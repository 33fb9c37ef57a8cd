"""What the values of a column mean: ids, moments, numbers, lists and text, a column at a time.

Each function takes a column as it was read and returns it converted, with None where a value
cannot be understood; the caller, who knows the line, decides what to say about it.
"""

from __future__ import annotations

import numpy as np
import polars as pl

# An integer as one writes it: "7", not "007" or "+7", and small enough for 64 bits.
INTEGER = r"^(?:0|-?[1-9]\d{0,17})$"
NUMBER = r"^-?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d+)?$"
ISO = (
    r"^(\d{4}-\d{2}-\d{2})"  # 2020-01-31
    r"(?:[T ](\d{2}:\d{2})(?::(\d{2}(?:[.,]\d+)?))?"  # T23:59:59.5
    r" ?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?)?$"  # +02:00
)
NOT_THERE = ["", "nan", "NaN", "NAN", "<NA>", "null", "NULL", "None"]
# Epochs count seconds, milli-, micro- or nanoseconds: each would pass the year 5000 at its limit.
EPOCHS = (
    (1e11, 1_000.0, "seconds since 1970"),
    (1e14, 1.0, "milliseconds since 1970"),
    (1e17, 1e-3, "microseconds since 1970"),
    (1e20, 1e-6, "nanoseconds since 1970"),
)


def as_ids(column: pl.Series) -> pl.Series:
    """Ids of any type as integers or strings; None where there is none.

    Whole floats (which pandas makes of integers beside a missing value) become integers; other
    types (categories, UUIDs, tuples, dates) their text.
    """
    kind = column.dtype
    if kind.is_float():
        finite = column.fill_nan(None)
        whole = finite.cast(pl.Int64, strict=False)
        rounded = ((whole.cast(kind) != finite) | (whole.is_null() & finite.is_not_null())).any()
        return finite.cast(pl.String) if rounded else whole
    if kind.is_integer():
        narrow = column.cast(pl.Int64, strict=False)
        return column.cast(pl.String) if narrow.null_count() > column.null_count() else narrow
    text = as_text(column)
    return only(text, ~text.is_in(NOT_THERE))


def only(column: pl.Series, keep: pl.Series) -> pl.Series:
    """A column with None where it is not to be kept."""
    return pl.select(pl.when(keep).then(column)).to_series()


def as_text(column: pl.Series) -> pl.Series:
    """Any column as strings, None staying None."""
    kind = column.dtype
    simple = (pl.String, pl.Boolean, pl.Categorical, pl.Enum, pl.Null, pl.Date, pl.Datetime)
    if kind.is_numeric() or kind in simple:
        return column.cast(pl.String)
    values = [tuple(v) if isinstance(v, list) else v for v in column.to_list()]
    texts = [None if v is None else str(v) for v in values]
    return pl.Series(column.name, texts, dtype=pl.String)


def same_type(*columns: pl.Series) -> list[pl.Series]:
    """Ids of several files as one type: integers where all are, else strings."""
    if all(column.dtype == pl.Int64 for column in columns):
        return list(columns)
    texts = [column.cast(pl.String) for column in columns]
    if all(text.str.contains(INTEGER).all() for text in texts):
        return [text.cast(pl.Int64) for text in texts]
    return texts


def as_numbers(column: pl.Series) -> pl.Series:
    """Float64, None where a value is not a finite number."""
    if isinstance(column.dtype, (pl.Object, pl.Categorical, pl.Enum)):
        column = as_text(column)
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    elif not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
    numbers = column.cast(pl.Float64, strict=False)
    return only(numbers, numbers.is_finite())


def as_milliseconds(column: pl.Series) -> tuple[pl.Series, str]:
    """Moments as int64 milliseconds since 1970 UTC, and in words what they were read as.

    Understood are dates and times, numbers of seconds, milli-, micro- or nanoseconds since 1970
    (told apart by their size) and ISO 8601 text (2020-01-31, 20200131, 2020-01-31T23:59:59+02:00).
    A moment without a zone is taken as UTC.
    """
    if isinstance(column.dtype, (pl.Date, pl.Datetime)):
        return column.dt.epoch("ms"), "dates"
    # Integers stay what they are: exact, and nothing to convert where they are milliseconds.
    exact = column.dtype in (pl.Int64, pl.Int32)
    numbers = column.cast(pl.Int64) if exact else as_numbers(column)
    if column.dtype.is_numeric() or numbers.count() * 2 > column.count():
        days = _compact_dates(numbers)
        return (days, "ISO dates") if days is not None else _from_epoch(numbers)
    return _from_iso(as_text(column).str.strip_chars()), "ISO dates"


def _compact_dates(numbers: pl.Series) -> pl.Series | None:
    """Dates written as 20200131, if every number is one."""
    if not numbers.is_between(19_000_101, 21_001_231).all():
        return None
    days = numbers.cast(pl.Int64).cast(pl.String).str.to_date("%Y%m%d", strict=False)
    return days.dt.epoch("ms") if days.count() == numbers.count() else None


def _from_epoch(numbers: pl.Series) -> tuple[pl.Series, str]:
    """Numbers since 1970; the median tells the unit, and what is too large for it is unreadable."""
    lowest, highest = numbers.min(), numbers.max()
    if isinstance(lowest, int) and isinstance(highest, int) and lowest >= 0:
        limit, factor, words = _epoch_of(lowest)
        if highest < limit and factor >= 1:  # then so is the median, and no number is too large
            return (numbers if factor == 1 else numbers * int(factor)), words
    numbers = numbers.cast(pl.Float64)
    size = numbers.abs()
    typical = float(np.median(size.drop_nulls().to_numpy())) if numbers.count() else 0.0
    limit, factor, words = _epoch_of(typical)
    return only((numbers * factor).round(), size < limit).cast(pl.Int64), words


def _epoch_of(number: float) -> tuple[float, float, str]:
    return next((epoch for epoch in EPOCHS if number < epoch[0]), EPOCHS[-1])


def _from_iso(text: pl.Series) -> pl.Series:
    parts = text.str.extract_groups(ISO).struct.unnest()
    date, clock, seconds, zone = (parts.to_series(place) for place in range(4))
    full = date + "T" + clock.fill_null("00:00") + ":" + seconds.fill_null("00")
    moments = full.str.replace(",", ".", literal=True).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f", time_unit="ms", strict=False
    )
    digits = zone.str.replace_all(r"[^\d]", "")
    hours = digits.str.slice(0, 2).cast(pl.Int64, strict=False).fill_null(0)
    minutes = digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0)
    east = pl.select(pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)).to_series()
    return moments.dt.epoch("ms") - east * (hours * 60 + minutes) * 60_000


def typed(column: pl.Series, kind: str | None) -> tuple[pl.Series, bool]:
    """A catalog column as what it holds, and whether its text was split at "|" into lists.

    Args:
        column: strings of a text file, or anything of a typed one.
        kind: what a typed header calls it: token, float, token_seq or float_seq.
    """
    if kind == "float_seq":
        return column.str.split(" ").cast(pl.List(pl.Float64), strict=False), False
    if kind == "token_seq":
        return column.str.split(" "), False
    if kind == "token":
        return column, False
    there = column.filter(~column.is_in(NOT_THERE)).drop_nulls()
    if not len(there):
        return column, False
    if there.str.contains(NUMBER).all():
        whole = there.str.contains(INTEGER).all()
        return column.cast(pl.Int64 if whole else pl.Float64, strict=False).fill_nan(None), False
    if there.str.to_lowercase().is_in(["true", "false"]).all():
        return column.str.to_lowercase() == "true", False
    bars = there.str.contains("|", literal=True)
    if bars.sum() >= 0.1 * len(there) and not there.str.contains(r"\s\||\|\s").any():
        return column.str.split("|"), True
    return column, False


def plain(column: pl.Series) -> pl.Series:
    """A column of a typed file as numbers, Booleans, dates, text or lists of them.

    Categories and unknown objects become their text, nested records their JSON text.
    """
    kind = column.dtype
    if isinstance(kind, (pl.Categorical, pl.Enum, pl.Null, pl.Binary, pl.Object)):
        return as_text(column)
    if isinstance(kind, pl.Decimal):
        return column.cast(pl.Float64)
    if isinstance(kind, pl.Struct):
        return only(column.struct.json_encode(), column.is_not_null())
    if isinstance(kind, (pl.List, pl.Array)) and _holds_records(kind):
        # Only a record can be written as JSON: wrap each list in one and cut the wrapping off.
        text = pl.DataFrame({"_": column}).select(pl.struct("_").struct.json_encode()).to_series()
        return only(text.str.slice(5).str.head(-1).rename(column.name), column.is_not_null())
    return column


def _holds_records(kind: pl.DataType) -> bool:
    if isinstance(kind, (pl.List, pl.Array)):
        return _holds_records(kind.inner)  # type: ignore[arg-type]
    return isinstance(kind, pl.Struct)
