"""Attributes: what the catalog says of items in so many words, as numbers that can be learned.

Every value that at least two items have gets a number: a brand, a genre, a step of a category path
("Beauty > Makeup" is another value than "Beauty > Makeup > Nails"). Texts of which nearly every
item has one of its own, such as titles, have few repeated values and so contribute few.

Shapes      N items, V values of all items together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import polars as pl

from itemlm.types import IntArray

LEAST_ITEMS = 2  # that share a value; one that a single item has says nothing of others
MOST_VALUES = 50_000  # the most frequent ones


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """The values of every item.

    Attributes:
        values: [V] numbers of values, those of one item next to each other.
        offsets: [N + 1] where each item's begin.
        count: different values, at least 1.
    """

    values: IntArray
    offsets: IntArray
    count: int

    @classmethod
    def of(cls, table: pl.DataFrame) -> Attributes:
        """From a catalog's columns of texts, lists of texts and paths."""
        names = [name for name in table.columns if _holds_texts(table.schema[name])]
        named_N: list[dict[str, None]] = [{} for _ in range(table.height)]
        for name in names:
            for found, cell in zip(named_N, table[name].to_list(), strict=True):
                found.update(dict.fromkeys(f"{name}: {value}" for value in _values(cell)))
        items_with = Counter(value for found in named_N for value in found)
        kept = [v for v, items in items_with.most_common(MOST_VALUES) if items >= LEAST_ITEMS]
        number_of = {value: number for number, value in enumerate(kept)}
        numbers_N = [[number_of[v] for v in found if v in number_of] for found in named_N]
        return cls(
            values=np.array([n for numbers in numbers_N for n in numbers], dtype=np.int64),
            offsets=np.array([0, *accumulate(map(len, numbers_N))], dtype=np.int64),
            count=max(1, len(kept)),
        )


def _holds_texts(kind: pl.DataType) -> bool:
    while isinstance(kind, pl.List):
        kind = kind.inner  # type: ignore[assignment]
    return isinstance(kind, pl.String | pl.Categorical | pl.Enum)


def _values(cell: object) -> Iterator[str]:
    """The values of a cell; of a path, every step with all that leads to it."""
    if isinstance(cell, str) and cell:
        yield cell
    elif isinstance(cell, list):
        for part in cell:
            if isinstance(part, list):
                steps = [step for step in part if isinstance(step, str)]
                yield from accumulate(steps, lambda path, step: f"{path} > {step}")
            elif isinstance(part, str) and part:
                yield part
