"""Phrases: the short things that a catalog says of items, such as a brand, a genre or a kind.

They stand in for what people would ask for where nobody has written down what they asked for.
"""

from __future__ import annotations

import polars as pl

from itemlm.data.dataset import Dataset
from itemlm.text.describe import LONG_TEXTS, PATHS, PLACEHOLDER, TITLES, default_template, describe

WORDS = 4  # most words of a phrase


def phrases(catalog: Dataset | pl.DataFrame) -> list[list[str]]:
    """Per catalog row, each phrase once: of lists every part, of category paths the last one.

    Titles and long texts are left out, and so are parts of more than four words.
    """
    table = catalog.catalog if isinstance(catalog, Dataset) else catalog
    found: list[list[str]] = [[] for _ in range(table.height)]
    for column in PLACEHOLDER.findall(default_template(table)):
        if column.lower() in (*TITLES, *LONG_TEXTS):
            continue
        for row, cell in enumerate(describe(table, f"{{{column}}}")):
            parts = cell.split(" > ")[-1:] if column.lower() in PATHS else cell.split(", ")
            for part in parts:
                if 0 < len(part.split()) <= WORDS and part not in found[row]:
                    found[row].append(part)
    return found
