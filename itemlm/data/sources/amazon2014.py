"""Amazon product reviews, 1996 to 2014, 5-core: Beauty, Sports and Outdoors, Toys and Games.

The benchmark of nearly every paper on Semantic IDs. Two forms are read, with the same columns:

    official    reviews_<Category>_5.json.gz (JSON lines) and meta_<Category>.json.gz (one Python
                literal per line, which is not JSON), from the authors' home
    prepared    items.jsonl with sequences.txt or interactions.tsv, as the repositories of S3-Rec
                and P5 number them

The prepared form numbers items by first appearance over whole sequences, test events included: the
numbers tell the order. Items are therefore known by their ASIN here, and sorted by it.

Source      McAuley, Targett, Shi and van den Hengel, SIGIR 2015; He and McAuley, WWW 2016.
"""

from __future__ import annotations

import ast
import gzip
import html
import re
from pathlib import Path

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from itemlm.data.dataset import Dataset
from itemlm.data.sources.reading import need, read_sequences
from itemlm.types import DataError

CATEGORIES = {
    "amazon2014-beauty": "Beauty",
    "amazon2014-sports": "Sports_and_Outdoors",
    "amazon2014-toys": "Toys_and_Games",
}
SECOND = 1000  # our timestamps are milliseconds

_ITEM: dict[str, DataType | DataTypeClass] = {
    "item_id": pl.Int64,
    "asin": pl.String,
    "title": pl.String,
    "categories": pl.List(pl.List(pl.String)),
    "brand": pl.String,
    "brand_inferred": pl.String,
}
_REVIEW: dict[str, DataType | DataTypeClass] = {
    "reviewerID": pl.String,
    "asin": pl.String,
    "overall": pl.Float32,
    "unixReviewTime": pl.Int64,
}
_ASIN = re.compile(r"'asin': '(\w+)'")
# Long lists of other products that we do not use; parsing is five times faster without them.
_RELATED = re.compile(r"'related': \{[^{}]*\}")


def read(folder: Path, name: str) -> Dataset:
    """Either form, whichever the folder holds."""
    if (folder / "items.jsonl").exists():
        return _read_prepared(folder, name)
    return _read_official(folder, name)


# --- The prepared form ----------------------------------------------------------------------


def _read_prepared(folder: Path, name: str) -> Dataset:
    items = pl.read_ndjson(folder / "items.jsonl", schema=_ITEM)
    if (folder / "interactions.tsv").exists():
        table = pl.read_csv(folder / "interactions.tsv", separator="\t").sort("user_id", "position")
        events, notes = _fill_times(table)
    else:
        events = read_sequences(*need(folder, "sequences.txt"))
        notes = [
            "No timestamps, only the published order, and that orders ties by ASIN: in Toys the "
            "last item has the higher one for 75 % of users. Nothing can undo this here, so "
            "figures on this form flatter."
        ]
    events = events.rename({"item_id": "number"}).join(
        items.select(number="item_id", item_id="asin"),
        on="number",
        how="left",
        maintain_order="left",
    )
    if events["item_id"].null_count():
        number = events.filter(pl.col("item_id").is_null())["number"][0]
        raise DataError(f"{folder} has an event with item {number}, which items.jsonl lacks.")
    if items["brand"].null_count() == items.height:
        items = items.with_columns(brand="brand_inferred")
        named = items.height - items["brand"].null_count()
        notes.append(f"Brands are inferred from titles, for {named:,} of {items.height:,} items.")
    return Dataset.build(events.drop("number"), _catalog(items), name=name, notes=tuple(notes))


def _fill_times(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Give every event a time, from day stamps of which some are missing."""
    empty = table["timestamp"].null_count()
    filled = table.with_columns(
        (pl.col("timestamp") * SECOND).forward_fill().backward_fill().over("user_id")
    )
    users = filled.filter(pl.col("timestamp").is_null())["user_id"].n_unique()
    # Users without any time: the middle of the data, one millisecond apart to keep their order.
    middle = pl.col("timestamp").median().fill_null(0).cast(pl.Int64)
    filled = filled.with_columns(pl.col("timestamp").fill_null(middle + pl.col("position")))
    notes = []
    if empty:
        notes.append(
            f"{empty} of {table.height:,} timestamps are missing: filled from the user's event "
            f"before, else after; for {users} users who have none at all, the published order at "
            "the data's median time."
        )
    return filled.select("user_id", "item_id", "timestamp"), notes


# --- The official form ----------------------------------------------------------------------


def _read_official(folder: Path, name: str) -> Dataset:
    category = CATEGORIES[name]
    reviews, meta = need(folder, f"reviews_{category}_5.json.gz", f"meta_{category}.json.gz")
    with gzip.open(reviews) as lines:
        events = pl.read_ndjson(lines.read(), schema=_REVIEW)
    events = events.select(
        user_id="reviewerID",
        item_id="asin",
        timestamp=pl.col("unixReviewTime") * SECOND,
        value="overall",
    )
    bare = events.select(asin=pl.col("item_id").unique())
    described = _read_meta(meta, set(bare["asin"].to_list()))
    items = bare.join(described, on="asin", how="left")
    notes = []
    if undescribed := items.height - described.height:
        notes.append(f"{undescribed} items have no metadata.")
    return Dataset.build(events, _catalog(items), name=name, notes=tuple(notes))


def _read_meta(path: Path, wanted: set[str]) -> pl.DataFrame:
    """The products whose ASIN is wanted."""
    found = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            match = _ASIN.search(line)
            if match and match[1] in wanted:
                product = ast.literal_eval(_RELATED.sub("'related': None", line, count=1))
                found[match[1]] = product
    columns = ("title", "categories", "brand")
    rows = [{"asin": asin} | {key: p.get(key) for key in columns} for asin, p in found.items()]
    return pl.DataFrame(rows, schema={key: _ITEM[key] for key in ("asin", *columns)})


# --- Both -----------------------------------------------------------------------------------


def _catalog(items: pl.DataFrame) -> pl.DataFrame:
    """`item_id` (the ASIN), `title`, `categories` (paths flattened, each name once), `brand`."""
    paths = pl.col("categories").list.eval(pl.element().explode().drop_nulls())
    # A prepared title of "title_208" stands for a missing one, and repeats the item's number.
    placeholder = pl.col("title").str.contains(r"^title_\d+$")
    return items.sort("asin").select(
        item_id="asin",
        title=pl.when(~placeholder).then(_clean("title")),
        categories=paths.list.unique(maintain_order=True).fill_null([]),
        brand=_clean("brand"),
    )


def _clean(column: str) -> pl.Expr:
    """Without HTML entities, line breaks and runs of spaces; null where nothing is left."""
    text = pl.col(column).map_elements(html.unescape, return_dtype=pl.String)
    text = text.str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(text != "").then(text)
