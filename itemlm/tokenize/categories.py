"""Category paths: an item's ID begins with the categories that a shop has put it into.

    ["Beauty", "Hair Care", "Styling Products"]  ->  Hair Care, Styling Products, 17th of these

The path runs from the general to the particular, so items of one department share leading codes
(SemID of "How to Index Item IDs", Hua et al., SIGIR-AP 2023, arXiv:2305.06569). A code stands for a
name: "Women's" below "Fragrance" has the code of "Women's" elsewhere on its level. A level on which
all items agree, such as the department that the whole catalog is of, is left out.

Shapes      N items, S levels of categories.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from itemlm.types import DataError, IntArray, UnknownName

COLUMNS = ("categories", "category", "genres", "genre")  # where no column is named
DEPTH = 5  # levels of a path that are kept; each costs a generator one step
SEPARATORS = (" > ", "|")  # in a column of text


def category_names(catalog: pl.DataFrame, column: str | None = None) -> list[tuple[str, ...]]:
    """The path of every item, without the levels that all paths begin with; () where none is known.

    Args:
        catalog: one row per item.
        column: of lists (of several paths, the first counts) or of text; one of `COLUMNS` if None.

    Raises:
        UnknownName: if there is no such column.
        DataError: if the catalog has none of `COLUMNS`, or the column holds neither.
    """
    if column is None:
        lower = {name.lower(): name for name in catalog.columns}
        column = next((lower[name] for name in COLUMNS if name in lower), None)
        if column is None:
            raise DataError(
                f"the catalog has no column of categories (one of {', '.join(COLUMNS)}); it has "
                f"{', '.join(catalog.columns)}. Name the column, or use another tokenizer."
            )
    if column not in catalog.columns:
        raise UnknownName("catalog column", column, catalog.columns)
    paths = [_path(value, column) for value in catalog[column].to_list()]
    known = {path for path in paths if path}
    common = 0
    while len({path[: common + 1] for path in known}) == 1 and min(map(len, known)) > common + 1:
        common += 1
    return [path[common : common + DEPTH] for path in paths]


def category_paths(catalog: pl.DataFrame, column: str | None = None) -> tuple[IntArray, list[int]]:
    """The categories of every item as codes, for `with_last_codes`.

    Returns:
        paths_NS, -1 after an item's last category, and the number of names on each level.

    Raises:
        UnknownName, DataError: see `category_names`.
    """
    names = category_names(catalog, column)
    depth = max(map(len, names), default=0)
    paths_NS = np.full((len(names), depth), -1)
    sizes = []
    for level in range(depth):
        rows = [row for row, path in enumerate(names) if len(path) > level]
        found, codes = np.unique([names[row][level] for row in rows], return_inverse=True)
        paths_NS[rows, level] = codes
        sizes.append(len(found))
    return paths_NS, sizes


def _path(value: object, column: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        separator = next((mark for mark in SEPARATORS if mark in value), None)
        value = value.split(separator) if separator else [value]
    if not isinstance(value, list):
        raise DataError(
            f"the column {column!r} holds {value!r}, but categories are lists or texts."
        )
    if value and isinstance(value[0], list):
        value = value[0]
    return tuple(name for part in value if part is not None and (name := str(part).strip()))
