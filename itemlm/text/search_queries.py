"""Search queries made from the catalog, where nobody has written down what people searched for.

A query is a few words that a searcher might remember of one item: some words of its title, a brand
or a kind, or two of them ("opi nail lacquer", "nail polish wine red"). They follow the catalog's
own words, so they are easier than what people type.

Shapes      Q searches.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from itemlm.data.dataset import Dataset
from itemlm.text.describe import title_column
from itemlm.text.phrases import phrases
from itemlm.text.subwords import words
from itemlm.types import DataError, IntArray

TRIES = 4  # draws per query that is asked for, since draws repeat
RUN = (2, 4)  # words of a title, next to each other


@dataclass(frozen=True, kw_only=True)
class Searches:
    """Searches whose answers are known.

    Attributes:
        texts: [Q] what is searched for.
        meant_Q: row of the item that each means.
    """

    texts: list[str]
    meant_Q: IntArray

    @classmethod
    def of(cls, queries: Sequence[Sequence[str]]) -> Searches:
        """From the queries of each item."""
        meant_Q = np.repeat(np.arange(len(queries)), [len(found) for found in queries])
        return cls(texts=[query for found in queries for query in found], meant_Q=meant_Q)


def searches_of(dataset: Dataset, count: int, seed: int) -> Searches:
    """Up to `count` searches for each item of a dataset.

    Raises:
        DataError: if nothing is known of any item.
    """
    searches = Searches.of(search_queries(dataset.catalog, count, seed))
    if not searches.texts:
        raise DataError(
            f"the catalog of '{dataset.name}' has neither titles nor names to make searches of. "
            "Add a column with titles."
        )
    return searches


def search_queries(catalog: pl.DataFrame, count: int, seed: int) -> list[list[str]]:
    """Per catalog row up to `count` different queries; fewer where little is known of an item.

    The first ones stay the same when more are asked for.

    Args:
        catalog: one row per item.
        count: of queries per item.
        seed: of the draws.
    """
    title = title_column(catalog)
    titles = [""] * catalog.height if title is None else catalog[title].to_list()
    queries = []
    for row, (text, kinds) in enumerate(zip(titles, phrases(catalog), strict=True)):
        draw = random.Random(f"{seed} {row}")
        title_words = words("" if text is None else str(text))
        named = [" ".join(words(kind)) for kind in kinds]
        found: dict[str, None] = {}
        for _ in range(TRIES * count):
            if len(found) == count:
                break
            if query := _drawn(title_words, [name for name in named if name], draw):
                found.setdefault(query)
        queries.append(list(found))
    return queries


def _drawn(title: Sequence[str], named: Sequence[str], draw: random.Random) -> str:
    """Words of the title, a name and a word of the title, or two names."""
    form = draw.choice(("title", "both", "named"))
    if not title or (form == "named" and len(named) > 1):
        return " ".join(draw.sample(named, min(2, len(named))))
    if not named or form == "title":
        size = min(len(title), draw.randint(*RUN))
        start = draw.randrange(len(title) - size + 1)
        return " ".join(title[start : start + size])
    some = sorted(draw.sample(range(len(title)), min(len(title), draw.randint(1, 2))))
    return " ".join([draw.choice(named), *(title[place] for place in some)])
