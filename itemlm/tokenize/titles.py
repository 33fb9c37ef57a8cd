"""Titles as IDs: an item's path is the beginning of its title, piece by piece.

The address says what the item is, in pieces that mean the same on every level and in every title,
so a language model could read it (TID of "How to Index Item IDs", Hua et al., SIGIR-AP 2023,
arXiv:2305.06569). Items that have nothing in common but a first word share the beginning of their
path, which is why the paper finds titles to be the worst of its indexes.

Pieces are learned from the catalog's own titles. Paths are cut at a limit, since a generator writes
one piece per step, and end in a code for the end. Where titles are equal as far as they go, there
are several such codes, one for each of the items.

Shapes      N items, S pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from itemlm.text.describe import TITLES, title_column
from itemlm.text.subwords import spelled
from itemlm.tokenize.paths import with_last_codes
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError, DataError

LIMIT = 8  # pieces of a title that a path has at most


def title_tokens(
    titles: Sequence[str | None], size: int, seed: int, *, limit: int = LIMIT
) -> ItemTokens:
    """Item tokens that spell titles.

    Args:
        titles: one per item; where one is missing, the path is an end code alone.
        size: different pieces to learn.
        seed: of the order of items with equal titles.
        limit: pieces of a path at most.

    Raises:
        ConfigError: if `size` or `limit` is not positive.
        DataError: if no title has a word.
    """
    if limit < 1:
        raise ConfigError(f"limit is {limit}, but a path needs at least 1 piece of a title.")
    pieces = [found[:limit] for found in spelled([title or "" for title in titles], size)]
    code_of = {
        piece: code for code, piece in enumerate(sorted({p for path in pieces for p in path}))
    }
    if not code_of:
        raise DataError(f"none of the {len(titles)} titles has a word to make a path of.")
    paths_NS = np.full((len(pieces), max(map(len, pieces))), -1)
    for row, path in enumerate(pieces):
        paths_NS[row, : len(path)] = [code_of[piece] for piece in path]
    return with_last_codes(paths_NS, (len(code_of),) * paths_NS.shape[1], seed, shared=True)


def titles_of(catalog: pl.DataFrame) -> list[str | None]:
    """The catalog's titles.

    Raises:
        DataError: if it has no column of titles.
    """
    column = title_column(catalog)
    if column is None:
        raise DataError(
            f"the catalog has no column of titles ({' or '.join(TITLES)}); it has "
            f"{', '.join(catalog.columns)}. Add titles, or use a paper or tokenizer without them."
        )
    return [None if title is None else str(title) for title in catalog[column].to_list()]
