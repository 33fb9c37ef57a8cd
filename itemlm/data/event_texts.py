"""Texts about events, such as reviews, from a file beside the log.

A dataset keeps what happened as numbers. Papers that learn from what people wrote about it read
that from a table with `user_id`, `item_id` and any columns of text. Only texts of the dataset's own
events are taken, so those of held-out events stay out of training.

Shapes      E events.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from itemlm.data.dataset import Dataset
from itemlm.data.files import PathLike, read_table
from itemlm.types import DataError


def event_texts(path: PathLike, dataset: Dataset, columns: Sequence[str]) -> dict[str, list[str]]:
    """[E] texts of every event, by column; "" where there is none.

    Args:
        path: a table with `user_id` and `item_id`, in any format that events are read from. Where
            a user has several rows for an item, the first counts.
        dataset: whose events are looked up.
        columns: texts to take, where the table has them.

    Raises:
        DataError: if the file cannot be read, or has no ids or none of the columns.
    """
    table = read_table(path, "texts of events", encoding="utf-8", on_error="stop").frame
    ids = ("user_id", "item_id")
    found = [name for name in columns if name in table.columns]
    if not found or not set(ids) <= set(table.columns):
        raise DataError(
            f"{path} has the columns {', '.join(table.columns)}, but texts of events need "
            f"{' and '.join(ids)} and some of: {', '.join(columns)}."
        )
    texts = table.select(pl.col(*ids, *found).cast(pl.String)).unique(
        list(ids), keep="first", maintain_order=True
    )
    events = dataset.events.select(pl.col(*ids).cast(pl.String))
    joined = events.join(texts, on=list(ids), how="left", maintain_order="left")
    return {name: joined[name].fill_null("").to_list() for name in found}
