"""`itemlm recommend`: ask a saved recommender."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from itemlm.cli.console import say, show, show_json, table, warn
from itemlm.cli.inputs import open_data, titles
from itemlm.cli.options import (
    ColumnOption,
    ItemsOption,
    JsonOption,
    OptionalDataOption,
    UsersOption,
)

if TYPE_CHECKING:
    import polars as pl

    from itemlm.data.dataset import Dataset
    from itemlm.recommender import Catalog, Recommender
    from itemlm.types import ItemId


def recommend(
    folder: Annotated[Path, typer.Argument(help="A saved recommender or a run.")],
    history: Annotated[
        str | None, typer.Option(help="Item ids, oldest first.", metavar="ID,ID...")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Everything that this user of --data did.", metavar="ID")
    ] = None,
    data: OptionalDataOption = None,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="Every user of --data; goes with --out.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="For --all: a .parquet, .csv or .jsonl file."
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many items.")] = 10,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Recommend only such items. Repeat it for another value of a column (either) or "
            "another column (both).",
            metavar="COLUMN=VALUE",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Recommend no such item. Repeatable.", metavar="COLUMN=VALUE"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Recommend items to a history, to a user of a dataset, to all its users, or to a stranger.

    For example:

    ```
    itemlm recommend runs/sasrec --history the-godfather-1972,heat-1995 -k 5
    itemlm recommend runs/sasrec --user viewer-0001 --data demo --only genres=comedy
    itemlm recommend runs/sasrec --all --data demo -o recommended.parquet
    ```
    """
    import itemlm

    if everyone != (out is not None):
        raise typer.BadParameter("--all and --out go together.")
    if everyone and data is None:
        raise typer.BadParameter("--all needs --data, whose users are asked for.")
    if not everyone and (user is None) != (data is None):
        raise typer.BadParameter("--user and --data go together.")
    if sum((everyone, user is not None, history is not None)) > 1:
        raise typer.BadParameter("give --history, --user or --all, not more than one of them.")
    recommender = itemlm.load_recommender(folder)
    catalog = recommender.catalog
    allowed = _conditions(only or [], catalog.table) or None
    conditions = _conditions(without or [], catalog.table)
    blocked = _any_of(conditions, catalog) if conditions else None
    dataset = None if data is None else open_data(data, items, users, column)
    if dataset is not None and out is not None:
        _write(recommender, dataset, out, k, allowed, blocked, json)
        return
    if dataset is not None and user is not None:
        query = dataset.query(user)
    else:
        query = itemlm.Query(history=_known(history, catalog))
    slate = recommender.recommend(query, k, only=allowed, without=blocked)
    names = titles(catalog.table, catalog.items.rows(slate.items))
    if json:
        places = zip(slate.items, names, slate.scores, strict=True)
        show_json(
            {
                "history": list(query.history),
                "items": [
                    {"item_id": item_id, "title": name, "score": score}
                    for item_id, name, score in places
                ],
            }
        )
        return
    listed = table("", "title", "item_id", "score", numbers=("", "score"))
    for place, name in enumerate(names):
        item_id, score = str(slate.items[place]), f"{slate.scores[place]:.4g}"
        listed.add_row(str(place + 1), escape(name), escape(item_id), score)
    show(listed)
    if len(slate) < k:
        say(f"Only {len(slate)} of {k} places could be filled: nothing else may be shown.")


def _write(
    recommender: Recommender,
    dataset: Dataset,
    out: Path,
    k: int,
    only: dict[str, list[Any]] | None,
    without: list[ItemId] | None,
    json: bool,
) -> None:
    """Recommendations of all users into a file, and what became of them."""
    from itemlm.bulk import recommend_all

    began = time.perf_counter()
    written = recommend_all(recommender, dataset, out, k, only=only, without=without, progress=True)
    seconds = time.perf_counter() - began
    if written.strangers:
        warn(
            f"of {written.strangers:,} users' histories the recommender knows no item; they got "
            "what anyone would."
        )
    if written.short:
        warn(f"{written.short:,} users got fewer than {k} items: nothing else may be shown.")
    if json:
        show_json({"file": str(out), **asdict(written), "seconds": seconds})
        return
    show(
        f"Wrote {written.rows:,} recommendations to {written.users:,} users into "
        f"{escape(str(out))} ({seconds:,.1f} s)."
    )


def _known(history: str | None, catalog: Catalog) -> list[ItemId]:
    """The ids of a history that the recommender knows; the others are told."""
    from itemlm.types import DataError

    given = [part.strip() for part in (history or "").split(",") if part.strip()]
    rows = catalog.items.rows(given)
    for item_id, row in zip(given, rows, strict=True):
        if row < 0:
            near = difflib.get_close_matches(item_id, map(str, catalog.items.ids), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            sentence = f"the recommender knows no item '{item_id}'.{hint}"
            if not (rows >= 0).any():
                raise DataError(sentence)
            warn(f"{sentence} It is left out.")
    return catalog.items.ids_of(rows[rows >= 0])


def _conditions(pairs: Sequence[str], catalog: pl.DataFrame) -> dict[str, list[Any]]:
    """`["genres=comedy"]` as wanted values by column, in the column's type.

    Raises:
        ConfigError: if a pair has no `=` or its value is of another type.
        UnknownName: if there is no such column, or the value never occurs.
    """
    from itemlm.types import ConfigError, UnknownName

    wanted: dict[str, list[Any]] = {}
    for pair in pairs:
        column, equals, text = (part.strip() for part in pair.partition("="))
        if not equals:
            raise ConfigError(f"'{pair}' is not a condition; write it as column=value.")
        if column not in catalog.columns:
            raise UnknownName("catalog column", column, catalog.columns)
        values = catalog[column]
        if values.dtype.base_type().__name__ == "List":
            values = values.explode()
        known = values.drop_nulls().unique().to_list()
        value = next((value for value in known if str(value) == text), None)
        if value is None:
            near = difflib.get_close_matches(text, map(str, known), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"no item has {column}={text}.{hint}")
        wanted.setdefault(column, []).append(value)
    return wanted


def _any_of(conditions: dict[str, list[Any]], catalog: Catalog) -> list[ItemId]:
    """The ids of the items that meet at least one of the conditions."""
    import numpy as np

    masks = [catalog.matching({column: values}) for column, values in conditions.items()]
    return catalog.items.ids.filter(np.any(masks, axis=0)).to_list()
