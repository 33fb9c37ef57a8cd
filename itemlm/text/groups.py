"""Groups of items that share a value of the catalog, such as a category or a brand.

    attributes    {"brand": ..., "categories": ...}: of each item, the values of each such column
    groups        the catalog cut by the values that most items have

Titles and long texts are left out, since hardly two items share them, and so are ids and links.

Shapes      N items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from itemlm.text.describe import LONG_TEXTS, TITLES, says_something
from itemlm.types import DataError, IntArray, UnknownName

Values = list[tuple[str, ...]]  # of each item, in the order of the catalog


def attributes(table: pl.DataFrame) -> dict[str, Values]:
    """The values of each item in each column that describes items and is shared by some.

    Args:
        table: a catalog.

    Returns:
        by column; empty tuples where nothing is known.
    """
    found = {}
    for name in table.columns:
        is_prose = name.lower() in (*TITLES, *LONG_TEXTS)
        if is_prose or table.schema[name].is_numeric() or not says_something(table[name]):
            continue
        values = [_flat(cell) for cell in table[name].to_list()]
        if Counter(value for cell in values for value in cell).most_common(1)[0][1] > 1:
            found[name] = values
    return found


def _flat(cell: object) -> tuple[str, ...]:
    """The different values in a cell, in their order."""
    if cell is None:
        return ()
    if isinstance(cell, list):
        return tuple(dict.fromkeys(value for part in cell for value in _flat(part)))
    text = " ".join(str(cell).split())
    return (text,) if text else ()


@dataclass(frozen=True, kw_only=True)
class Groups:
    """A catalog cut into groups by one of its columns.

    Attributes:
        of_item_N: the group of each item; the last group holds those that fit no other.
        names: of the groups.
        column: that they come from.
    """

    of_item_N: IntArray
    names: tuple[str, ...]
    column: str

    def __len__(self) -> int:
        return len(self.names)


def groups(table: pl.DataFrame, most: int, column: str | None = None) -> Groups:
    """Cut a catalog into groups of items that share a value.

    The values that most items have become groups, but none that more than half of them have: it
    says too little. An item with several such values goes to the largest.

    Args:
        table: a catalog.
        most: groups, that of all others included; at least 2.
        column: to take values from; the one whose groups hold the most items where None.

    Raises:
        UnknownName: if there is no such column with values that items share.
        DataError: if no column has any.
    """
    known = attributes(table)
    if column is not None and column not in known:
        raise UnknownName("catalog column with values that items share", column, known)
    names = list(known) if column is None else [column]
    cuts = [_cut(known[name], most, name) for name in names]
    cuts = [cut for cut in cuts if len(cut) > 1]
    if not cuts:
        raise DataError(
            "the catalog has no column whose values divide items into groups; its columns are "
            f"{', '.join(table.columns)}. Add a category, a brand or the like."
        )
    return max(cuts, key=lambda cut: int((cut.of_item_N < len(cut) - 1).sum()))


def _cut(values: Sequence[tuple[str, ...]], most: int, column: str) -> Groups:
    items_with = Counter(value for cell in values for value in cell)
    candidates = [value for value, items in items_with.items() if items <= len(values) / 2]
    kept = sorted(candidates, key=lambda value: (-items_with[value], value))[: most - 1]
    place = {value: number for number, value in enumerate(kept)}
    of_item = [
        min((place.get(value, len(kept)) for value in cell), default=len(kept)) for cell in values
    ]
    return Groups(of_item_N=np.array(of_item), names=(*kept, "others"), column=column)
