"""From what was typed to what the library takes: datasets, settings and titles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from itemlm.cli.console import say

if TYPE_CHECKING:
    import polars as pl

    from itemlm.data.dataset import Dataset
    from itemlm.data.vocabulary import Vocabulary
    from itemlm.types import IntArray, TopK


def open_data(
    data: str,
    items: Path | None = None,
    users: Path | None = None,
    column: Sequence[str] | None = None,
    *,
    on_error: Literal["stop", "drop"] = "stop",
    encoding: str = "utf-8",
    tell: bool = True,
) -> Dataset:
    """A dataset by name, from a saved folder or from an event file.

    How an event file was understood is told, since the guess may be wrong.

    Raises:
        UnknownName: if there is no such dataset.
        DataError: if a file cannot be understood.
        ConfigError: if file options are given without an event file.
    """
    from itemlm.config import parse_settings
    from itemlm.data.dataset import Dataset
    from itemlm.data.loading import load
    from itemlm.types import ConfigError

    path = Path(data)
    if path.is_dir():
        dataset = Dataset.load(path)
    elif path.is_file() or path.suffix:  # no dataset's name has a dot
        dataset = Dataset.from_files(
            path,
            items,
            users,
            columns=parse_settings(column or []),
            on_error=on_error,
            encoding=encoding,
        )
        for note in dataset.notes if tell else ():
            say(note)
        return dataset
    else:
        dataset = load(data)
    if items or users or column:
        raise ConfigError(
            f"--items, --users and --column go with an event file, and '{data}' is none."
        )
    return dataset


def oracle_of(data: str) -> TopK | None:
    """Who knows the best possible answers: there is one for the demo world only."""
    if data != "demo":
        return None
    from itemlm.data.world import world

    return world().oracle


def settings_of(pairs: Iterable[str] | None) -> dict[str, Any]:
    """`["width=64", "window=none"]` as settings; none is Python's None.

    Raises:
        ConfigError: if a pair has no `=`.
    """
    from itemlm.config import parse_settings

    pairs_read = parse_settings(list(pairs or []))
    return {name: None if value.lower() == "none" else value for name, value in pairs_read.items()}


def settings_by_model(
    pairs: Iterable[str] | None, models: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """`["sasrec.width=128"]` as settings of each model.

    Raises:
        ConfigError: if a pair has no model or no `=`.
        UnknownName: if a model is not among `models`.
    """
    from itemlm.types import ConfigError, UnknownName

    found: dict[str, dict[str, Any]] = {}
    for key, value in settings_of(pairs).items():
        model, dot, name = key.rpartition(".")
        if not dot:
            raise ConfigError(
                f"'{key}' does not say whose setting it is; write it as {models[0]}.{key}=..."
            )
        if model not in models:
            raise UnknownName("paper in this comparison", model, models)
        found.setdefault(model, {})[name] = value
    return found


def check_same_items(items: Vocabulary, dataset: Dataset) -> None:
    """Refuse what was made for other items than those of a dataset, or in another order.

    Raises:
        DataError: telling how many it knows.
    """
    from itemlm.types import DataError

    ids = dataset.items.ids
    if items.ids.dtype == ids.dtype and items.ids.equals(ids):
        return
    known = int((items.rows(ids.to_list()) >= 0).sum())
    raise DataError(
        f"the Semantic IDs are of another catalog: they know {known:,} of the {len(ids):,} items "
        f"of '{dataset.name}', and {len(items):,} in all. Give the data that they are of, or "
        "make others by `itemlm tokenize append` or `refit`."
    )


def titles(catalog: pl.DataFrame, rows: IntArray) -> list[str]:
    """What people call the items of these rows: their titles, or else their ids."""
    from itemlm.text import describe

    return describe.titles(catalog[rows.tolist()])
