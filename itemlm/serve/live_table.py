"""The catalog as it is now: item changes are checked against its columns and applied to its table.

A change gives some fields of an item; the others keep their values. Fields are stored as JSON and
belong to no model, so that they can be applied again to another model's catalog.

Shapes      N rows of a table, C changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from itemlm.data.vocabulary import Vocabulary
from itemlm.types import DataError, ItemId

MAX_COLUMNS = 200

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Applied:
    """A table after changes.

    Attributes:
        table: rows keep their places; arrived items follow them.
        arrived: the ids of those that the table did not have, in order.
        changed: [C] rows of items whose fields changed, arrived ones among them.
        removed: rows of items that have left.
        returned: rows of items that had left and are there again.
    """

    table: pl.DataFrame
    arrived: list[ItemId]
    changed: list[int]
    removed: list[int]
    returned: list[int]


def checked(item_id: ItemId, fields: Fields, schema: dict[str, pl.DataType]) -> dict[str, Any]:
    """The fields of an item, each of the type of its column.

    Args:
        item_id: of the item.
        fields: what is to be set.
        schema: of the table; a new field is added to it, so that the next item must agree.

    Raises:
        DataError: naming the item and the field that does not fit.
    """
    out: dict[str, Any] = {}
    for name, value in fields.items():
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise DataError(f"item {item_id!r} has a field without a proper name: {name[:100]!r}.")
        if name.startswith("__"):
            raise DataError(
                f"item {item_id!r}: the name of field '{name}' may not begin with '__'."
            )
        is_open = isinstance(schema.get(name, pl.Null()), pl.Null)  # nothing has been said yet
        wanted = _type_of(value) if is_open else schema[name]
        if wanted is not None and is_open:
            if name not in schema and len(schema) >= MAX_COLUMNS:
                raise DataError(
                    f"item {item_id!r}: '{name}' would be a new field, but items have "
                    f"{MAX_COLUMNS} already, which is the most."
                )
            schema[name] = wanted
        try:
            out[name] = None if value is None or wanted is None else _as(value, wanted)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"item {item_id!r}: field '{name}' is {_short(value)}, but holds "
                f"{_in_words(wanted)} in this catalog."
            ) from error
    return out


def stored_id(item_id: ItemId, ids: Vocabulary) -> ItemId:
    """An item id in the type of a catalog's ids.

    Raises:
        DataError: if the catalog's ids are numbers and this is none.
    """
    if ids.ids.dtype == pl.String:
        return str(item_id)
    try:
        number = int(item_id)
    except ValueError:
        number = None
    if number is None or str(number) != str(item_id) or not -(2**63) <= number < 2**63:
        raise DataError(f"the ids of this catalog are whole numbers, and {item_id!r} is none.")
    return number


def applied(
    table: pl.DataFrame,
    ids: Vocabulary,
    removed: set[int],
    changes: Sequence[tuple[ItemId, Fields | None]],
) -> Applied:
    """A table with changes; where an item changes twice, both hold in their order.

    Args:
        table: N rows with the column `item_id`.
        ids: of these rows.
        removed: rows of items that have left.
        changes: the id of each and the fields that it gets, checked; None where it leaves.
    """
    merged: dict[ItemId, dict[str, Any] | None] = {}
    for item_id, fields in changes:
        item_id = stored_id(item_id, ids)
        before = merged.get(item_id)
        merged[item_id] = None if fields is None else {**(before or {}), **fields}
    rows = dict(zip(merged, ids.rows(merged).tolist(), strict=True))
    arrived = [i for i, fields in merged.items() if rows[i] < 0 and fields is not None]
    for place, item_id in enumerate(arrived):
        rows[item_id] = table.height + place
    if arrived:
        new = pl.DataFrame({"item_id": pl.Series(arrived, dtype=table.schema["item_id"])})
        table = pl.concat([table, new], how="diagonal")
    of_row = {rows[i]: fields for i, fields in merged.items() if fields is not None}
    for name in dict.fromkeys(name for fields in of_row.values() for name in fields):
        given = {row: fields[name] for row, fields in of_row.items() if name in fields}
        table = _with_values(table, name, given)
    left = [rows[i] for i, fields in merged.items() if fields is None and rows[i] >= 0]
    return Applied(
        table=table,
        arrived=arrived,
        changed=list(of_row),
        removed=[row for row in left if row not in removed],
        returned=[row for row in of_row if row in removed],
    )


def _with_values(table: pl.DataFrame, name: str, given: Mapping[int, Any]) -> pl.DataFrame:
    """The table with new values of a column in some rows."""
    values = list(given.values())
    if isinstance(table.schema.get(name, pl.Null()), pl.Null):
        wanted = next((kind for kind in map(_type_of, values) if kind is not None), None)
        if wanted is None or len(table.columns) >= MAX_COLUMNS:  # another model has other columns
            return table
        table = table.with_columns(pl.lit(None, dtype=wanted).alias(name))
    kind = table.schema[name]
    fitting = {row: value for row, value in given.items() if _fits(value, kind)}
    if isinstance(kind, pl.List):  # scatter does not know lists
        cells = table[name].to_list()
        for row, value in fitting.items():
            cells[row] = value
        return table.with_columns(pl.Series(name, cells, dtype=kind))
    new = pl.Series([_as(value, kind) for value in fitting.values()], dtype=kind)
    return table.with_columns(table[name].scatter(list(fitting), new))


def _fits(value: Any, kind: pl.DataType) -> bool:
    """Whether a value that was checked for one catalog holds in another's column too."""
    try:
        _as(value, kind)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return False
    return True


def _type_of(value: Any) -> pl.DataType | None:
    """The column type that a JSON value starts; None where it does not say."""
    if isinstance(value, list):
        inner = _type_of(value[0]) if value else None
        if isinstance(inner, pl.Int64) and any(isinstance(part, float) for part in value):
            inner = pl.Float64()
        return pl.List(inner) if inner is not None else pl.List(pl.String())
    kinds: dict[type, pl.DataType] = {
        bool: pl.Boolean(),
        int: pl.Int64(),
        float: pl.Float64(),
        str: pl.String(),
    }
    return kinds.get(type(value))


def _as(value: Any, kind: pl.DataType) -> Any:
    """A JSON value as a column holds it."""
    if value is None:
        return None
    if isinstance(kind, pl.List):
        if not isinstance(value, list):
            raise TypeError
        return [_as(part, kind.inner) for part in value]  # type: ignore[arg-type]
    if isinstance(kind, pl.Boolean):
        return _only(value, bool)
    if isinstance(value, bool):
        raise TypeError
    if isinstance(kind, pl.Date):
        return value if type(value) is date else date.fromisoformat(_only(value, str))
    if isinstance(kind, pl.Datetime):
        if isinstance(value, datetime):
            return value
        at = datetime.fromisoformat(_only(value, str))
        return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
    if kind.is_integer():
        number = int(_only(value, int, float))
        if number != value:
            raise ValueError
        return pl.Series([number], dtype=kind)[0]  # refuses what is out of range
    if kind.is_float():
        return float(_only(value, int, float))
    if isinstance(kind, pl.Enum) and value not in kind.categories:
        raise ValueError
    if isinstance(kind, pl.String | pl.Categorical | pl.Enum):
        _only(value, str).encode()  # half a character is no text: a ValueError
        return value
    raise TypeError


def _only(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise TypeError
    return value


def _in_words(kind: pl.DataType | None) -> str:
    if kind is None:
        return "nothing"
    if isinstance(kind, pl.List):
        return f"a list, each part {_in_words(kind.inner)}"  # type: ignore[arg-type]
    if isinstance(kind, pl.Boolean):
        return "true or false"
    if isinstance(kind, pl.Date | pl.Datetime):
        return "a date such as '2026-01-31'"
    if kind.is_integer():
        return "a whole number"
    if isinstance(kind, pl.Enum):
        return f"one of {', '.join(kind.categories)}"
    if isinstance(kind, pl.String | pl.Categorical):
        return "a text"
    return "a number" if kind.is_float() else "what cannot be set from outside"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
