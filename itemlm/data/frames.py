"""From a Polars or pandas frame to a Table.

pandas is never imported here: a pandas frame is told by its type's name and read through NumPy,
so that PyArrow is not needed either.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
import polars as pl

from itemlm.data.table import OnError, Table
from itemlm.types import DataError

if TYPE_CHECKING:
    import pandas

FrameLike: TypeAlias = Union[pl.DataFrame, pl.LazyFrame, "pandas.DataFrame"]

# Values of one of these types make a column of that type; anything else becomes text.
NATIVE = (bool, int, float, str, datetime, date)


def frame_table(frame: FrameLike, what: str, *, on_error: OnError) -> Table:
    """Rows of a frame.

    Args:
        frame: a Polars or pandas frame.
        what: what it is for, such as "events".
        on_error: what to do about bad rows.

    Raises:
        DataError: if it is something else, or a lazy frame that cannot be computed.
    """
    if isinstance(frame, pl.LazyFrame):
        try:
            rows = frame.collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            first_line = str(error).split("\n")[0]
            raise DataError(f"the lazy {what} frame cannot be computed: {first_line}") from error
    elif isinstance(frame, pl.DataFrame):
        rows = frame
    elif type(frame).__module__.split(".")[0] == "pandas" and hasattr(frame, "columns"):
        rows = _from_pandas(frame, what)
    else:
        raise DataError(
            f"the {what} are a {type(frame).__name__}, not a Polars or pandas frame. Use "
            "Dataset.from_files for paths."
        )
    return Table(name=f"the {what} frame", frame=rows, on_error=on_error)


def as_series(name: str, values: Sequence[Any]) -> pl.Series:
    """Python values, None where there is none, as a column.

    Values of one type keep it, integers beside floats become floats, lists of one type stay lists.
    Everything else becomes text: JSON text where it is nested.
    """
    values = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    types = _types(values)
    if types == {list}:
        inner = _types([element for value in values if value is not None for element in value])
        native = all(issubclass(kind, NATIVE) for kind in inner) and len(inner) <= 1
    else:
        native = all(issubclass(kind, NATIVE) for kind in types) and len(types) <= 1
    if types == {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if native:
        # Integers beyond 64 bits and halves of a surrogate pair have no place in a typed column.
        with contextlib.suppress(OverflowError, TypeError, UnicodeEncodeError):
            return pl.Series(name, values)
    texts = [None if value is None else _text(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)


def _types(values: Sequence[object]) -> set[type]:
    return {type(value) for value in values} - {type(None)}


def _text(value: object) -> str:
    nested = isinstance(value, (dict, list))
    text = json.dumps(value, ensure_ascii=False, default=str) if nested else str(value)
    return text.encode(errors="replace").decode()


def _from_pandas(frame: Any, what: str) -> pl.DataFrame:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"the {what} frame has more than one column '{twice}'; rename them.")
    columns = [_column(name, frame.iloc[:, place]) for place, name in enumerate(names)]
    return pl.DataFrame(columns)


def _column(name: str, column: Any) -> pl.Series:
    """A pandas column, through NumPy where it holds numbers or moments, else value by value."""
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufbM":
        array = column.to_numpy()
        if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] not in ("ns", "us", "ms"):
            array = array.astype("datetime64[ms]")
        return pl.Series(name, array)
    values = column.astype(object).to_numpy()
    missing = column.isna().to_numpy()
    return as_series(
        name, [None if gone else value for value, gone in zip(values, missing, strict=True)]
    )
