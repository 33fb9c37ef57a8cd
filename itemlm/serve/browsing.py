"""For people who rather look than ask: the tree of Semantic IDs, the map, the catalog by pages.

Shapes      N items, L codes of an item, D width of text vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from itemlm.serve.building import item_answer
from itemlm.serve.explaining import stand_ins
from itemlm.serve.http.errors import ApiError
from itemlm.serve.release import Release
from itemlm.serve.schemas import Branch, CodesAnswer, ItemAnswer, ItemPage, MapAnswer
from itemlm.text.describe import title_column
from itemlm.types import FloatArray, IntArray

EXAMPLES = 4  # titles on a branch
FEW = 60  # items that are listed one by one
GROUPS = 12  # colors of the map
FACETS = 8
FACET_VALUES = 20
LONGEST = 40  # characters of a value that people can choose
NEARLY_ALL = 0.9  # of the items: such a value chooses nothing
COVERED = 0.2  # of the items, at least, by a column's frequent values


def codes(release: Release, prefix: Sequence[int]) -> CodesAnswer:
    """A node of the tree of Semantic IDs, and where one can go from it.

    Raises:
        ApiError: if the model has no Semantic IDs, or none begins so.
    """
    if release.codes_NL is None:
        raise ApiError("not_found", f"'{release.name}' has no Semantic IDs.", field="model")
    codes_NL = release.codes_NL
    depth = len(prefix)
    inside_N = ~release.removed_N & (codes_NL[:, 0] >= 0) & (depth <= codes_NL.shape[1])
    for level, code in enumerate(prefix[: codes_NL.shape[1]]):
        inside_N &= codes_NL[:, level] == code
    rows = np.flatnonzero(inside_N)
    if not len(rows):
        path = ", ".join(map(str, prefix))
        raise ApiError("not_found", f"No Semantic ID of '{release.name}' begins with {path}.")
    branches = []
    if depth < codes_NL.shape[1]:
        next_codes = codes_NL[rows, depth]
        for code in np.unique(next_codes[next_codes >= 0]).tolist():
            below = rows[next_codes == code]
            popular = below[np.argsort(-release.counts_N[below], kind="stable")[:EXAMPLES]]
            branches.append(
                Branch(code=code, items=len(below), titles=release.titles(popular.tolist()))
            )
    leaves = rows.tolist() if len(rows) <= FEW else []
    return CodesAnswer(
        model=release.name,
        prefix=list(prefix),
        items=len(rows),
        branches=branches,
        leaves=[item_answer(release, row) for row in leaves],
    )


def catalog_map(release: Release) -> MapAnswer:
    """The catalog as points; items whose texts are alike lie close.

    Raises:
        ApiError: if the catalog has no texts.
    """
    if release.index is None:
        raise ApiError("not_found", "The catalog has no texts that a map could be drawn from.")
    rows = np.flatnonzero(~release.removed_N)
    points = principal_components(release.index.vectors(rows))
    groups, names = _groups(release.catalog.table, rows)
    return MapAnswer(
        method="PCA of text vectors",
        item_ids=release.catalog.items.ids_of(rows),
        titles=release.titles(rows.tolist()),
        x=points[:, 0].round(4).tolist(),
        y=points[:, 1].round(4).tolist(),
        groups=groups.tolist(),
        names=names,
    )


def principal_components(vectors_ND: FloatArray) -> FloatArray:
    """[N, 2] the two directions in which vectors differ most, each scaled to -1..1."""
    centered_ND = vectors_ND - vectors_ND.mean(axis=0)
    _, directions_DD = np.linalg.eigh(centered_ND.T @ centered_ND)
    points_N2 = centered_ND @ directions_DD[:, :-3:-1]
    if points_N2.shape[1] < 2:
        points_N2 = np.pad(points_N2, ((0, 0), (0, 2 - points_N2.shape[1])))
    reach: FloatArray = points_N2 / np.maximum(np.abs(points_N2).max(axis=0), 1e-9)
    return reach


def _groups(table: pl.DataFrame, rows: IntArray) -> tuple[IntArray, list[str]]:
    """The most telling column's value of each item, as a place in a list of names; -1 for rare."""
    for name, values in facets(table).items():
        names = values[:GROUPS]
        place_of = {value: place for place, value in enumerate(names)}
        column = table[name].gather(rows)
        is_list = isinstance(column.dtype, pl.List)
        cells = (column if is_list else column.cast(pl.String)).to_list()
        groups = [
            next((place_of[part] for part in _parts(cell) if part in place_of), -1)
            for cell in cells
        ]
        return np.array(groups), names
    return np.full(len(rows), -1), []


def _parts(cell: Any) -> list[str]:
    """The values in a cell; paths of categories begin with the most general."""
    parts = cell if isinstance(cell, list) else [] if cell is None else [cell]
    return [str(part) for part in parts]


def facets(table: pl.DataFrame, most: int = FACET_VALUES) -> dict[str, list[str]]:
    """Columns that people can choose by, and their most frequent values.

    Left out are titles, long texts, values that nearly all items have, and columns whose frequent
    values cover few items. Those that cover the most come first.
    """
    found: list[tuple[float, str, list[str]]] = []
    for name, kind in table.schema.items():
        inner: Any = kind.inner if isinstance(kind, pl.List) else kind
        if name in ("item_id", title_column(table)) or inner not in (pl.String, pl.Boolean):
            continue
        cells = table[name].explode() if isinstance(kind, pl.List) else table[name]
        counts = cells.drop_nulls().cast(pl.String).value_counts(sort=True, name="count")
        counts = counts.filter(
            (pl.col("count") < NEARLY_ALL * table.height)
            & (pl.col(name).str.len_chars() <= LONGEST)
        ).head(most)
        covered = float(counts["count"].sum()) / max(1, table.height)
        if counts.height >= 2 and covered >= COVERED:
            found.append((min(1.0, covered), name, counts[name].to_list()))
    found.sort(key=lambda facet: -facet[0])
    return {name: values for _, name, values in found[:FACETS]}


def release_facets(release: Release) -> dict[str, list[str]]:
    """`facets` of the items of now."""
    return facets(release.catalog.table)


def page(release: Release, limit: int, start: int, filter: str | None) -> ItemPage:
    """A page of the catalog, in its own order."""
    mask_N = ~release.removed_N
    if filter:
        mask_N &= release.mask(filter)
    rows = np.flatnonzero(mask_N)
    chosen = rows[start : start + limit].tolist()
    more = start + limit < len(rows)
    return ItemPage(
        items=[described(release, row) for row in chosen],
        cursor=str(start + limit) if more else None,
        total=len(rows),
    )


def described(release: Release, row: int) -> ItemAnswer:
    """An item with everything that is known of it."""
    return item_answer(release, row, stand_ins(release, row) if row >= release.live.known else ())
