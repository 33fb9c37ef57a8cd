"""Readers: files and frames of any origin into a Dataset, or a sentence that says what is wrong.

The way of the data: `files` and `frames` make Tables of what was given, `columns` guesses which
column is which, `values` understands ids, moments and numbers, and this module checks the rows,
fits the tables to each other and tells in the dataset's notes what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from itemlm.data import values
from itemlm.data.columns import (
    NAMES,
    WHAT,
    check_roles,
    find_column,
    missing_column,
    quoted,
    unique_names,
)
from itemlm.data.dataset import Dataset
from itemlm.data.files import Needed, PathLike, read_table
from itemlm.data.frames import FrameLike, frame_table
from itemlm.data.table import OnError, Table
from itemlm.types import ConfigError, DataError

__all__ = ["FrameLike", "OnError", "PathLike", "read_files", "read_frames"]

FORMS = {
    "timestamp": "It can be an ISO date or date-time (2020-01-31, 2020-01-31T23:59:59+02:00) or a "
    "number of seconds, milli-, micro- or nanoseconds since 1970, the same in the whole column",
    "value": "It can be any number",
}


def read_files(
    events: PathLike,
    items: PathLike | None,
    users: PathLike | None,
    *,
    columns: Mapping[str, str],
    name: str | None,
    on_error: OnError,
    encoding: str,
) -> Dataset:
    """See `Dataset.from_files`."""

    def read(path: PathLike, what: str, needed: Needed | None = None) -> Table:
        checked = _checked(on_error)
        return read_table(path, what, encoding=encoding, on_error=checked, needed=needed)

    def of_a_role(header: Sequence[str]) -> list[str]:
        found = (find_column(role, header, columns) for role in NAMES)
        return [column for column in found if column is not None]

    return _dataset(
        read(events, "events", of_a_role),
        None if items is None else read(items, "items"),
        None if users is None else read(users, "users"),
        columns=columns,
        name=name or Path(events).name.split(".")[0],
    )


def read_frames(
    events: FrameLike,
    items: FrameLike | None,
    users: FrameLike | None,
    *,
    columns: Mapping[str, str],
    name: str,
    on_error: OnError,
) -> Dataset:
    """See `Dataset.from_frames`."""

    def read(frame: FrameLike, what: str) -> Table:
        return frame_table(frame, what, on_error=_checked(on_error))

    return _dataset(
        read(events, "events"),
        None if items is None else read(items, "items"),
        None if users is None else read(users, "users"),
        columns=columns,
        name=name,
    )


def _checked(on_error: OnError) -> OnError:
    if on_error not in ("stop", "drop"):
        raise ConfigError(f"on_error is '{on_error}', but it can only be 'stop' or 'drop'.")
    return on_error


def _dataset(
    events: Table,
    items: Table | None,
    users: Table | None,
    *,
    columns: Mapping[str, str],
    name: str,
) -> Dataset:
    # 1. Know which column is which. Other files may call an id as the event file does.
    in_events, in_items, in_users = (
        [] if table is None else table.header for table in (events, items, users)
    )
    check_roles(
        columns,
        {
            "user_id": (in_events, in_users),
            "item_id": (in_events, in_items),
            "timestamp": (in_events,),
            "value": (in_events,),
        },
    )
    column_of = {role: find_column(role, in_events, columns) for role in NAMES}

    # 2. Understand each table for itself.
    events = _events(events, column_of)
    if items is not None:
        items = _entities(items, "item_id", columns, like=column_of["item_id"])
    if users is not None:
        users = _entities(users, "user_id", columns, like=column_of["user_id"])

    # 3. Fit them to each other: no event of an item that does not exist, ids of one type.
    if items is not None:
        events = _of_known_items(events, items)
    events, items = _one_id_type("item_id", events, items)
    events, users = _one_id_type("user_id", events, users)

    # 4. Is there anything to learn?
    if events.frame.is_empty():
        raise DataError(f"{events.name} has no rows that can be used. {' '.join(events.notes)}")
    if events.frame["user_id"].min() == events.frame["user_id"].max():
        raise DataError(
            f"{events.name} holds the events of one user only ({events.frame['user_id'][0]!r}). "
            "What people have in common can be learned from two users or more. Is "
            f"'{column_of['user_id']}' the right column? Name another with "
            "columns={'user_id': ...} (--column user_id=...)."
        )
    tables = [table for table in (events, items, users) if table is not None]
    notes = tuple(note for table in tables for note in table.notes)
    # The log is handed over, so that `build` can let go of its columns one by one.
    log = [events.frame.select(role for role in NAMES if column_of[role] is not None)]
    del tables, events
    return Dataset.build(
        log.pop(),
        None if items is None else items.frame,
        None if users is None else users.frame,
        name=name,
        notes=notes,
    )


def _events(table: Table, column_of: Mapping[str, str | None]) -> Table:
    """The log under our names, without the rows in which something is missing."""
    _check_rows(table)
    used = {role: column for role, column in column_of.items() if column is not None}
    for role in ("user_id", "item_id"):
        if role not in used:
            without = " (which has no header line)" if table.headless else ""
            raise missing_column(role, table.name + without, table.header)
    twice = [column for column in used.values() if list(used.values()).count(column) > 1]
    if twice:
        roles = " and ".join(role for role, column in used.items() if column == twice[0])
        raise DataError(f"{table.name}: column '{twice[0]}' cannot be both {roles}.")
    raw = {role: table.frame[column] for role, column in used.items()}
    ours = {role: values.as_ids(raw[role]) for role in ("user_id", "item_id")}
    told = "It has no timestamps: the order of its rows is taken as the order of events."
    if "timestamp" in used:
        ours["timestamp"], unit = values.as_milliseconds(raw["timestamp"])
        told = f"Timestamps are {unit}."
    if "value" in used:
        ours["value"] = values.as_numbers(raw["value"])
    # The columns as they were read stand beside ours, to be quoted where ours could not be made.
    frame = {**ours, **{_raw(role): column for role, column in raw.items()}}
    table = table.with_notes(f"{_told(table, used)} {told}").with_frame(pl.DataFrame(frame))
    for role in used:
        table = _reject_missing(table, role)
    return table


def _entities(table: Table, role: str, columns: Mapping[str, str], *, like: str | None) -> Table:
    """A catalog or user profiles: the id under our name, then every further column as it is."""
    _check_rows(table)
    header = table.frame.columns
    column = find_column(role, header, columns, like=like, last_resort="id")
    if table.headless:  # column_2 of the events is not column_2 of the catalog
        column = header[0]
    if column is None:
        raise missing_column(role, table.name, header)
    further, split = _further(table, column)
    names = unique_names([role, *(series.name for series in further)])
    ours = dict(zip(names, [values.as_ids(table.frame[column]), *further], strict=True))
    told = _told(table, {role: column})
    if split:
        told += f" Split at '|' into lists: {quoted(split)}."
    frame = pl.DataFrame({**ours, _raw(role): table.frame[column]})
    table = _reject_missing(table.with_notes(told).with_frame(frame), role)
    ids = table.frame[role]

    def say(row: int) -> str:
        earlier = table.where(int((ids == ids[row]).arg_max() or 0))
        return f"{role} {ids[row]!r} stands a second time (first: {earlier})"

    table = table.reject(~ids.is_first_distinct().to_numpy(), f"an {role} that came before", say)
    return table.with_frame(table.frame.drop(_raw(role)))


def _further(table: Table, column: str) -> tuple[list[pl.Series], list[str]]:
    """All other columns as what they hold, and the names of those that were split into lists."""
    others = table.frame.drop(column).get_columns()
    if not table.text:
        return [values.plain(other) for other in others], []
    typed = [values.typed(other, table.kinds.get(other.name)) for other in others]
    return [series for series, _ in typed], [series.name for series, split in typed if split]


def _check_rows(table: Table) -> None:
    if table.frame.is_empty():
        so_far = "".join(f" {note}" for note in table.notes)
        raise DataError(
            f"{table.name} has no rows under its header, so there is nothing to read.{so_far}"
        )


def _raw(role: str) -> str:
    return f"{role} as it was read"


def _told(table: Table, used: Mapping[str, str]) -> str:
    """The note about which column was taken as what."""
    taken = [role if column == role else f"'{column}' as {role}" for role, column in used.items()]
    return f"{table.name}: took {', '.join(taken)}."


def _reject_missing(table: Table, role: str) -> Table:
    ours, raw = table.frame[role], table.frame[_raw(role)]
    if not ours.null_count():
        return table

    def say(row: int) -> str:
        value = raw[row]
        empty = value is None or value == ""
        said = f"{WHAT[role]} is {'empty' if empty else repr(value)}"
        if role not in FORMS:
            return f"{said}, but every row needs one"
        without = f"To do without {WHAT[role]}s, give columns={{'{role}': ''}}"
        return f"{said}. {FORMS[role]}. {without}"

    return table.reject(ours.is_null().to_numpy(), f"no usable {role}", say)


def _one_id_type(role: str, events: Table, others: Table | None) -> tuple[Table, Table | None]:
    """Both tables with their ids all integers or all strings."""
    tables = [table for table in (events, others) if table is not None]
    columns = values.same_type(*(table.frame[role] for table in tables))
    pairs = zip(tables, columns, strict=True)
    events, *rest = (table.with_frame(table.frame.with_columns(ids)) for table, ids in pairs)
    return events, rest[0] if rest else None


def _of_known_items(events: Table, items: Table) -> Table:
    """The events without those of items that the catalog lacks."""
    ids, known = values.same_type(events.frame["item_id"], items.frame["item_id"])
    catalog = known.rename("id").to_frame().with_columns(known=pl.lit(True))
    found = ids.rename("id").to_frame().join(catalog, "id", how="left", maintain_order="left")
    unknown = found["known"].is_null()
    count = int(unknown.sum())

    def say(row: int) -> str:
        return (
            f"item {ids[row]!r} is not in {items.name} ({count} of {len(ids)} events name items "
            "that are missing there)"
        )

    return events.reject(unknown.to_numpy(), f"an item that {items.name} lacks", say)
