"""Why an item was recommended, as far as it can be checked.

The evidence is counterfactual: an item of the history is named as a reason if the slate is another
without it. It is left out, the model is asked again, and the recommended item falls. That is true
of any model, of its answers rather than of its insides. What both items have in common, in words
of the catalog, is added for the reader; nothing is made up.

Shapes      K places of a slate, H items of a history that were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import polars as pl

from itemlm.serve.question import Found
from itemlm.serve.release import Release
from itemlm.serve.schemas import Because, Why
from itemlm.text.describe import LONG_TEXTS, TITLES

REASONS = 2  # items of the history that are named, at most
SHARED = 4  # values of a field that are named, at most
USUAL = 1 / 3  # of all items
LONGEST = 60  # characters of a value that two items can share; longer texts are no attributes


def reasons(found: Found, places_without: Sequence[tuple[int, list[int]]]) -> list[Why]:
    """Why each item of a slate is in it.

    Args:
        found: the slate.
        places_without: for each item of the history that was left out, its row and the place of
            each item of the slate then, 0 for none.
    """
    return [_why(found, place, places_without) for place in range(len(found.rows))]


def _why(found: Found, place: int, places_without: Sequence[tuple[int, list[int]]]) -> Why:
    release, row = found.release, found.rows[place]
    parts = []
    if found.pinned[place]:
        parts.append("Placed here by a rule.")
    if found.source == "popularity":
        parts.append(f"Popular: taken {_times(int(release.counts_N[row]))}.")
    elif found.source == "item_to_item":
        parts.append("Described like the latest items of the history.")
    elif found.source == "text":
        parts.append("Described alike.")
    elif found.source == "search":
        parts.append("Fits the words.")
    elif found.source == "catalog":
        parts.append("Nothing is known yet that would make a better start.")
    if found.source == "model+search":
        parts.append("Among the best for the history and the words together.")
    if found.propensities is not None and not found.pinned[place]:
        parts.append("Chance had a part in its place.")
    if row >= release.live.known:
        known = stand_ins(release, row)[:1]
        if known:
            parts.append(f"New. Stands in for '{release.titles(known)[0]}', described alike.")
    because = [] if found.pinned[place] else _evidence(found, place, places_without)
    if because:
        parts.append(_sentence(because[0], place + 1))
    if not parts:
        parts.append("The history as a whole speaks for it, none of its latest items alone.")
    return Why(text=" ".join(parts), because=because)


def _evidence(
    found: Found, place: int, places_without: Sequence[tuple[int, list[int]]]
) -> list[Because]:
    """The items of the history without which this one would stand lower, the heaviest first."""
    release, row = found.release, found.rows[place]
    here = place + 1
    falls = [(out, places[place]) for out, places in places_without]
    falls = [(out, then) for out, then in falls if then == 0 or then > here]
    falls.sort(key=lambda fall: fall[1] if fall[1] else np.inf, reverse=True)
    chosen = falls[:REASONS]
    titles = release.titles([out for out, _ in chosen])
    ids = release.catalog.items.ids_of(np.array([out for out, _ in chosen], dtype=np.int64))
    return [
        Because(
            item_id=item_id,
            title=title,
            shared=shared(release, row, out),
            similarity=_cosine(release, row, out),
            place_without=then or None,
        )
        for (out, then), title, item_id in zip(chosen, titles, ids, strict=True)
    ]


def _sentence(because: Because, place: int) -> str:
    both = ""
    if because.shared:
        parts = [part for parts in because.shared.values() for part in parts]
        single = [part for part in parts if ", " not in part]  # no lists in one text
        values = list(dict.fromkeys(single or parts))
        both = f" (both: {', '.join(values[:SHARED])})"
    then = f"in place {because.place_without}" if because.place_without else "far down"
    return f"Because of '{because.title}'{both}: without it, {then} instead of {place}."


def shared(release: Release, row: int, other: int) -> dict[str, list[str]]:
    """What two items have in common, by field."""
    table = release.catalog.table
    names = _attributes(tuple(table.schema.items()))
    first, second = table[[row, other]].select(names).to_dicts() if names else ({}, {})
    common = {}
    for name in names:
        mine, theirs = _values(first[name]), set(_values(second[name]))
        usual = release.kept("usual", _usual).get(name, frozenset())
        both = [value for value in mine if value in theirs and value not in usual]
        if both:
            common[name] = both[:SHARED]
    return common


@lru_cache(maxsize=64)
def _attributes(schema: tuple[tuple[str, pl.DataType], ...]) -> list[str]:
    """The columns whose values two items can share."""
    return [
        name
        for name, kind in schema
        if name != "item_id"
        and name.lower() not in (*TITLES, *LONG_TEXTS)
        and (kind == pl.String or kind == pl.List(pl.String) or name.lower() == "year")
    ]


def _usual(release: Release) -> dict[str, frozenset[str]]:
    """Values of each field that so many items have that sharing one says nothing."""
    table = release.catalog.table
    found = {}
    for name in _attributes(tuple(table.schema.items())):
        cells = table[name].explode() if table.schema[name] == pl.List else table[name]
        counts = cells.drop_nulls().cast(pl.String).value_counts(name="count")
        often = counts.filter(pl.col("count") > USUAL * table.height)
        found[name] = frozenset(often[name].to_list())
    return found


def _values(cell: object) -> list[str]:
    parts = cell if isinstance(cell, list) else [] if cell is None else [cell]
    return [str(part) for part in parts if 0 < len(str(part)) <= LONGEST]


def _cosine(release: Release, row: int, other: int) -> float | None:
    if release.index is None:
        return None
    first_D, second_D = release.index.vectors(np.array([row, other]))
    return round(float(first_D @ second_D), 3)


def stand_ins(release: Release, row: int) -> list[int]:
    """The known items that stand in for an arrived one, the most alike first."""
    rows = release.live.stand_ins_AM[row - release.live.known]
    return [known for known in rows.tolist() if known >= 0]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
