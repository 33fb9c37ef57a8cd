"""Outcomes: what became of the slates that a service showed.

A log has two tables: what was shown where, and what people did with it afterwards. Here they meet.
An outcome counts for the slate that it names, if the item was in that slate; a second click on the
same item is no second success.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from itemlm.types import DataError

CLICKS = ("click", "view")
CONVERSIONS = ("purchase",)

SHOWN = (
    *("recommendation_id", "person", "model", "experiment", "group"),
    *("item_id", "place", "propensity"),
)
OUTCOMES = ("recommendation_id", "item_id", "kind", "value")


def item_results(
    shown: pl.DataFrame,
    outcomes: pl.DataFrame,
    *,
    clicks: Sequence[str] = CLICKS,
    conversions: Sequence[str] = CONVERSIONS,
) -> pl.DataFrame:
    """What became of every item that was shown.

    Args:
        shown: one row per item of a slate: `recommendation_id`, `person` (null: unknown), `model`,
            `experiment`, `group`, `item_id`, `place` (1 is the first), `propensity` (probability of
            this item at this place given the places before it; null: no chance was used).
        outcomes: one row per thing that somebody did with it: `recommendation_id`, `item_id`,
            `kind`, `value` (a price, null: none).
        clicks: kinds of outcomes that count as a click.
        conversions: kinds that count as a conversion; their values are added up.

    Returns:
        The rows of `shown`, with ids as text, and `clicked`, `converted` (booleans), `value` (0
        where there is none) and `unit` (a number per person; a slate to an unknown person stands
        for a person of its own).

    Raises:
        DataError: if a column is missing or an item has two places in one slate.
    """
    _check(shown, "what was shown", SHOWN)
    _check(outcomes, "the outcomes", OUTCOMES)
    key = ["recommendation_id", "item_id"]
    shown = shown.with_columns(pl.col(key).cast(pl.String))
    twice = shown.select(key).is_duplicated()
    if twice.any():
        slate, item = shown.filter(twice).select(key).row(0)
        raise DataError(f"item {item!r} has more than one place in the slate {slate!r}.")
    kind, value = pl.col("kind").cast(pl.String), pl.col("value").cast(pl.Float64)
    done = (
        outcomes.with_columns(pl.col(key).cast(pl.String))
        .group_by(key)
        .agg(
            clicked=kind.is_in(list(clicks)).any(),
            converted=kind.is_in(list(conversions)).any(),
            value=value.filter(kind.is_in(list(conversions))).sum(),
        )
    )
    person = pl.concat_str(pl.lit("p"), pl.col("person").cast(pl.String))
    slate = pl.concat_str(pl.lit("s"), pl.col("recommendation_id"))
    return shown.join(done, on=key, how="left", maintain_order="left").with_columns(
        pl.col("clicked", "converted").fill_null(False),
        pl.col("value").fill_null(0.0),
        unit=pl.coalesce(person, slate).rank("dense").cast(pl.Int64) - 1,
    )


def slate_results(items: pl.DataFrame) -> pl.DataFrame:
    """What became of every slate.

    Args:
        items: as `item_results` gives them.

    Returns:
        One row per slate, in the order of their first rows: `recommendation_id`, `person`, `unit`,
        `model`, `experiment`, `group`, `items` (places shown), `clicked`, `converted` (booleans),
        `clicked_items` (a number), `first_place` (the topmost that was clicked; null: none) and
        `value`.
    """
    same = ("person", "unit", "model", "experiment", "group")
    return items.group_by("recommendation_id", maintain_order=True).agg(
        *(pl.col(name).first() for name in same),
        items=pl.len(),
        clicked=pl.col("clicked").any(),
        converted=pl.col("converted").any(),
        clicked_items=pl.col("clicked").sum(),
        first_place=pl.col("place").filter(pl.col("clicked")).min(),
        value=pl.col("value").sum(),
    )


def _check(frame: pl.DataFrame, what: str, columns: Sequence[str]) -> None:
    """Refuse a table without a column that is needed."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            f"the table of {what} lacks {', '.join(missing)}; it has {', '.join(frame.columns)}."
        )
