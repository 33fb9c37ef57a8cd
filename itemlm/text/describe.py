"""Describe items: one line of text per catalog row, to be encoded, searched or shown to a model.

A template is text with column names in braces, one statement per line:

    {title}
    brand: {brand}
    categories: {categories}

becomes "OPI Nail Lacquer. brand: OPI. categories: Beauty > Makeup > Nails". A line whose columns
are all empty for an item is left out for that item. Without a template, `default_template` writes
one for the columns that the catalog has.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Protocol

import polars as pl

from itemlm.data.dataset import Dataset
from itemlm.types import ConfigError, DataError, UnknownName

LIMIT = 1000  # characters; the small sentence encoders read about 250 word pieces
TITLES = ("title", "name")
LONG_TEXTS = ("description", "overview", "plot", "summary", "abstract", "text")
PATHS = ("categories", "category")  # lists that lead from the general to the particular
NOT_TEXT = re.compile(r"(^|_)(id|asin|sku|url|link|image|img|poster)s?$", re.IGNORECASE)
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class HasTable(Protocol):
    """Anything with a catalog table, such as a recommender's catalog."""

    table: pl.DataFrame


def title_column(table: pl.DataFrame) -> str | None:
    """The column of a catalog that holds titles, if it has one."""
    return next((name for name in table.columns if name.lower() in TITLES), None)


def titles(table: pl.DataFrame) -> list[str]:
    """What people call each item of a catalog: its title, or else its id."""
    column = title_column(table) or "item_id"
    pairs = zip(table[column].to_list(), table["item_id"].to_list(), strict=True)
    return [str(item_id if title is None else title) for title, item_id in pairs]


def describe(
    catalog: Dataset | HasTable | pl.DataFrame, template: str | None = None, *, limit: int = LIMIT
) -> list[str]:
    """One text per catalog row, in row order.

    HTML entities are decoded, white space is collapsed, "a|b" and lists are joined by commas and
    category paths by " > ". An item of which nothing is known gets the empty text.

    Args:
        catalog: a dataset, a recommender's catalog or the table itself.
        template: text with {column} in braces, or the name of a file in `itemlm/text/templates`;
            made by `default_template` if None.
        limit: longest text in characters; a longer one is cut at the end of a word.

    Raises:
        UnknownName: if there is no such template, or the catalog has no such column.
        DataError: if no template is given and no column holds text.
        ConfigError: if the template has no column or the limit is not positive.
    """
    if limit < 1:
        raise ConfigError(f"limit is {limit}, but a text needs at least 1 character.")
    table = _table_of(catalog)
    if template is None:
        template = default_template(table)
    elif "{" not in template:
        template = _named(template)
    return [_cut(text, limit) for text in _render(table, template)]


def default_template(table: pl.DataFrame) -> str:
    """A template of the columns that say something about an item.

    The title comes first and long texts last, so that a limit cuts these. Left out are ids, links,
    pictures, empty columns, and numbers other than the year.

    Raises:
        DataError: if no column is left.
    """
    columns = [name for name in table.columns if says_something(table[name])]
    if not columns:
        raise DataError(
            "the catalog has no text to describe items with: its columns are "
            f"{', '.join(table.columns)}. Add titles or categories, or give a template."
        )
    columns.sort(key=lambda name: (name.lower() not in TITLES, name.lower() in LONG_TEXTS))
    return "\n".join(
        f"{{{name}}}" if name.lower() in TITLES else f"{name.replace('_', ' ')}: {{{name}}}"
        for name in columns
    )


def template_names() -> list[str]:
    """The templates that can be asked for by name."""
    folder = files("itemlm.text") / "templates"
    return sorted(file.name.removesuffix(".txt") for file in folder.iterdir())


@cache
def _named(name: str) -> str:
    if name not in template_names():
        raise UnknownName("template", name, template_names())
    return (files("itemlm.text") / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def _table_of(catalog: Dataset | HasTable | pl.DataFrame) -> pl.DataFrame:
    if isinstance(catalog, pl.DataFrame):
        return catalog
    return catalog.catalog if isinstance(catalog, Dataset) else catalog.table


def says_something(column: pl.Series) -> bool:
    inner: object = column.dtype
    while isinstance(inner, pl.List):
        inner = inner.inner
    is_text = isinstance(inner, (pl.String, pl.Categorical, pl.Enum))
    is_year = column.name.lower() == "year" and column.dtype.is_numeric()
    return (
        (is_text or is_year)
        and not re.search(r"[{}\n]", column.name)
        and not NOT_TEXT.search(column.name)
        and column.null_count() < len(column)
    )


def _render(table: pl.DataFrame, template: str) -> list[str]:
    lines = [line for line in template.splitlines() if line.strip()]
    used = [name for line in lines for name in PLACEHOLDER.findall(line)]
    if not used:
        raise ConfigError(
            f"the template {template!r} has no column in braces, so all items would read alike. "
            f"Use some of: {', '.join(table.columns)}."
        )
    for name in used:
        if name not in table.columns:
            raise UnknownName("catalog column", name, table.columns)
    texts = {name: [_text(value, name) for value in table[name].to_list()] for name in set(used)}

    rows = (dict(zip(texts, cells, strict=True)) for cells in zip(*texts.values(), strict=True))
    return [_join(filter(None, (_fill(line, row) for line in lines))) for row in rows]


def _fill(line: str, row: dict[str, str]) -> str:
    """The line with its columns filled in; empty if the row has none of them."""
    columns = PLACEHOLDER.findall(line)
    if columns and not any(row[name] for name in columns):
        return ""
    return " ".join(PLACEHOLDER.sub(lambda match: row[match[1]], line).split())


def _text(value: object, column: str) -> str:
    """A cell as clean text; empty where nothing is known."""
    if value is None or value != value:  # null, or NaN
        return ""
    if isinstance(value, list):
        joint = " > " if column.lower() in PATHS else ", "
        if any(isinstance(part, list) for part in value):  # several paths
            joint = ", "
        return joint.join(filter(None, (_text(part, column) for part in value)))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(html.unescape(str(value)).replace("|", ", ").split())


def _join(parts: Iterable[str]) -> str:
    """Statements one after the other, with a full stop between where one lacks an end."""
    joined = ""
    for part in parts:
        stop = "" if not joined else " " if joined.endswith((".", "!", "?")) else ". "
        joined += stop + part
    return joined


def _cut(text: str, limit: int) -> str:
    """The longest run of whole words within the limit; part of a word only if it is the first."""
    if len(text) <= limit:
        return text
    whole, space, _ = text[: limit + 1].rpartition(" ")
    return (whole if space else text[:limit]).rstrip(" ,;:>")
