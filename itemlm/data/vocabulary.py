"""Vocabulary: the one place where ids outside meet row numbers inside.

Shapes      B queries, E events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np
import polars as pl

from itemlm.order import BLOCK
from itemlm.types import DataError, IntArray, ItemId, Query, QueryBatch

# Ids that lie closer together than this are looked up in a table, which takes 5 bytes an entry.
TABLE_ENTRIES_PER_EVENT = 8


class Vocabulary:
    """The one place where ids outside meet row numbers inside.

    Ids are integers or strings and come back as they were given. Look-ups forgive the other type:
    `"260"` finds the integer id 260 and the reverse, since files and URLs only carry text.
    """

    def __init__(self, ids: pl.Series) -> None:
        if ids.dtype != pl.String and not ids.dtype.is_integer():
            raise DataError(f"ids must be integers or strings, not {ids.dtype}.")
        if ids.null_count():
            raise DataError(f"{ids.null_count()} ids are empty; every row needs an id.")
        if ids.n_unique() != len(ids):
            example = ids.filter(ids.is_duplicated())[0]
            raise DataError(f"ids must be unique, but {example!r} occurs more than once.")
        self.ids = ids if ids.dtype == pl.String else ids.cast(pl.Int64)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, item_id: object) -> bool:
        return bool(self.rows([item_id])[0] >= 0)  # type: ignore[list-item]

    @cached_property
    def _row_of(self) -> dict[ItemId, int]:
        return {item_id: row for row, item_id in enumerate(self._id_of)}

    @cached_property
    def _id_of(self) -> list[ItemId]:
        return self.ids.to_list()

    def rows(self, ids: Iterable[ItemId]) -> IntArray:
        """Row of each id, -1 where it is unknown."""
        ids = list(ids)
        found = list(map(self._row_of.get, ids))
        if None in found:
            found = [
                self._row_of_other_type(item_id) if row is None else row
                for item_id, row in zip(ids, found, strict=True)
            ]
        return np.array(found, dtype=np.int64)

    def _row_of_other_type(self, item_id: ItemId) -> int:
        other = str(item_id) if self.ids.dtype == pl.String else _as_int(item_id)
        return -1 if other is None else self._row_of.get(other, -1)

    def ids_of(self, rows: IntArray) -> list[ItemId]:
        """The ids of these rows."""
        id_of = self._id_of
        return [id_of[row] for row in rows.tolist()]


def _as_int(item_id: object) -> int | None:
    """The integer that a text spells; "007" and " 7" spell none."""
    text = str(item_id)
    digits = text.removeprefix("-")
    canonical = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    return int(text) if canonical else None


def query_batch(
    queries: Sequence[Query], items: Vocabulary, users: Vocabulary | None = None
) -> QueryBatch:
    """Queries as rows; ids that are not in the vocabulary are left out."""
    rows = [items.rows(query.history) for query in queries]
    rows = [known[known >= 0] for known in rows]
    lengths = [len(known) for known in rows]
    user_rows = np.full(len(queries), -1, dtype=np.int64)
    if users is not None:
        named = [(place, q.user) for place, q in enumerate(queries) if q.user is not None]
        for place, user in named:
            user_rows[place] = users.rows([user])[0]
    return QueryBatch(
        offsets=np.array([0, *accumulate(lengths)], dtype=np.int64),
        item_rows=np.concatenate([np.empty(0, dtype=np.int64), *rows]),
        user_rows=user_rows,
        texts=[q.text or "" for q in queries] if any(q.text for q in queries) else None,
    )


def factorize(ids: pl.Series) -> tuple[Vocabulary, IntArray]:
    """The ids of a log in ascending order, and the row of each event.

    Args:
        ids: [E] integers or strings, none missing.

    Returns:
        The vocabulary and rows_E, int32.
    """
    if ids.dtype.is_integer() and len(ids):
        ids = ids.cast(pl.Int64)
        lowest, highest = int(ids.min()), int(ids.max())  # type: ignore[arg-type]
        if highest - lowest < TABLE_ENTRIES_PER_EVENT * len(ids):
            return _factorize_by_table(ids, lowest, highest)
    vocabulary = Vocabulary(ids.unique().sort())
    return vocabulary, rows_in(ids, vocabulary)


def _factorize_by_table(ids: pl.Series, lowest: int, highest: int) -> tuple[Vocabulary, IntArray]:
    """With a table of all numbers between: first which of them occur, then the row of each."""
    occurs = np.zeros(highest - lowest + 1, dtype=bool)
    for block in _blocks(ids):
        occurs[block - lowest] = True
    row_of_id = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    row_E = np.empty(len(ids), dtype=np.int32)
    done = 0
    for block in _blocks(ids):
        row_E[done : done + len(block)] = row_of_id[block - lowest]
        done += len(block)
    return Vocabulary(pl.Series(np.flatnonzero(occurs) + lowest)), row_E


def _blocks(ids: pl.Series) -> Iterator[IntArray]:
    """All ids without a copy of them, some at a time."""
    for chunk in ids.get_chunks():
        yield from np.array_split(chunk.to_numpy(), len(chunk) // BLOCK + 1)


def rows_in(ids: pl.Series, vocabulary: Vocabulary) -> IntArray:
    """[E] int32 rows of many ids at once, -1 where unknown."""
    rows = np.arange(len(vocabulary), dtype=np.int32)
    table = pl.DataFrame({"id": vocabulary.ids, "row": rows})
    ids = ids.cast(pl.Int64) if ids.dtype.is_integer() else ids
    joined = ids.rename("id").to_frame().join(table, on="id", how="left", maintain_order="left")
    return joined["row"].fill_null(-1).to_numpy()
