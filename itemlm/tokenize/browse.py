"""A tree of codes and titles, to see with one's own eyes what codes have come to mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError, DataError, IntArray

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree


def browse(
    tokens: ItemTokens,
    titles: Sequence[str],
    prefix: Sequence[int] = (),
    *,
    depth: int = 2,
    limit: int = 5,
) -> Tree:
    """The code tree below a prefix, to print with rich.

    Codes with the most items come first. Where the tree ends, and wherever a code has only one
    item, titles stand in place of further codes. A path that has ended has no further codes: no
    other begins with it, so it is always such a single item.

    Args:
        tokens: any.
        titles: one per item, in row order.
        prefix: leading codes to start below; empty for the whole catalog.
        depth: levels of codes to open.
        limit: most codes or titles shown under a node.

    Raises:
        ConfigError: if `depth` or `limit` is negative or no item has this prefix.
        DataError: if there is not one title per item.
    """
    from rich.text import Text
    from rich.tree import Tree

    if len(titles) != len(tokens):
        raise DataError(f"there are {len(tokens)} items but {len(titles)} titles.")
    if depth < 0 or limit < 1:
        raise ConfigError(f"depth must be at least 0 and limit at least 1, not {depth}, {limit}.")
    prefix = tuple(prefix)
    if len(prefix) > len(tokens.levels):
        raise ConfigError(f"the prefix {prefix} is longer than the {len(tokens.levels)} levels.")
    if any(code < 0 for code in prefix):
        raise ConfigError(f"the prefix {prefix} has a code below 0; codes run from 0.")
    rows = np.flatnonzero((tokens.codes_NL[:, : len(prefix)] == prefix).all(axis=1))
    if not len(rows):
        raise ConfigError(f"no item has codes that begin with {prefix}.")

    def grow(node: Tree, rows: IntArray, level: int, left: int) -> None:
        if not left or level == len(tokens.levels) or len(rows) == 1:
            for row in rows[:limit]:
                node.add(Text(str(titles[row])))
            hidden, what = len(rows) - limit, "items"
        else:
            codes, counts = np.unique(tokens.codes_NL[rows, level], return_counts=True)
            for place in np.argsort(-counts, kind="stable")[:limit]:
                inside = rows[tokens.codes_NL[rows, level] == codes[place]]
                child = node.add(_label(str(codes[place]), len(inside)))
                grow(child, inside, level + 1, left - 1)
            hidden, what = len(codes) - limit, "codes"
        if hidden > 0:
            node.add(Text(f"... {hidden:,} more {what}", style="dim"))

    root = Tree(_label(" ".join(map(str, prefix)) or "all codes", len(rows)))
    grow(root, rows, len(prefix), depth)
    return root


def _label(codes: str, items: int) -> Text:
    from rich.text import Text

    return Text.assemble((codes, "bold"), (f"  {items:,} item{'s' if items != 1 else ''}", "dim"))
