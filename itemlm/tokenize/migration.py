"""Migration: from one fit of tokens to another, with names changed as little as can be.

What a fit calls its codes is chance: another seed finds the same groups and numbers them otherwise.
So the codes of a new fit are renamed first. On every level, new codes are matched with old ones
such that as many items as possible keep theirs (an exact assignment on how many items each two
codes share), and codewords move along with their names. Items whose semantic codes are then the
same as before keep their last code too. What differs after that has really changed.

Shapes      N items of the new catalog, C of them in the old one too, L levels, S = L - 1 semantic
            ones, K codes of a level.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from itemlm.tokenize.assignment import cheapest_assignment
from itemlm.tokenize.published import Published
from itemlm.tokenize.quantizer import Quantizer
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError, IntArray

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a re-fit changed; those per level have one entry per semantic level.

    Attributes:
        items: of the new catalog.
        known, new, gone: of both catalogs, of the new one only and of the old one only.
        changed: share of known items whose codes are not what they were.
        prefix_changed: share of known items whose codes up to and including this level are not.
        code_changed: share of known items whose code of this level alone is not.
        renamed: codes that the new fit had called otherwise.
    """

    items: int
    known: int
    new: int
    gone: int
    changed: float
    prefix_changed: tuple[float, ...]
    code_changed: tuple[float, ...]
    renamed: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The measures as plain values."""
        return asdict(self)

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(
            title=f"{self.changed:.1%} of {self.known:,} known items have other codes",
            caption=f"{self.new:,} items are new, {self.gone:,} are gone",
        )
        table.add_column("")
        for level in range(len(self.renamed)):
            table.add_column(f"level {level + 1}", justify="right")
        table.add_row("prefix changed", *(f"{share:.1%}" for share in self.prefix_changed))
        table.add_row("this code changed", *(f"{share:.1%}" for share in self.code_changed))
        table.add_row("codes renamed", *(f"{count:,}" for count in self.renamed))
        return table


def migrated(old: Published, fresh: Published, seed: int = 0) -> tuple[Published, Changes]:
    """A fresh fit with names as near to the old ones as can be, and what changed all the same.

    Args:
        old: as published.
        fresh: fitted anew, on any catalog.
        seed: shuffles last codes of items that tie.

    Raises:
        ConfigError: if the fresh tokens do not come from vectors by codebooks, or there are not as
            many levels as before.
    """
    quantizer = fresh.tokens.quantizer
    if not isinstance(quantizer, Quantizer):
        raise ConfigError("codes are renamed with their codebooks, but the new tokens have none.")
    if len(old.tokens.levels) != len(fresh.tokens.levels):
        raise ConfigError(
            f"the new tokens have {len(fresh.tokens.levels)} levels, the old ones "
            f"{len(old.tokens.levels)}; fit the new ones with as many."
        )
    row_N = old.rows(fresh.items)
    known = np.flatnonzero(row_N >= 0)
    before_CL = old.tokens.codes_NL[row_N[known]]

    # 1. New names for semantic codes.
    codes_NS = fresh.tokens.semantic_codes.copy()
    codebooks, renamed = [], []
    for level, codebook_KH in enumerate(quantizer.codebooks):
        size = len(codebook_KH)
        name_K = _names(codes_NS[known, level], before_CL[:, level], size)
        codes_NS[:, level] = name_K[codes_NS[:, level]]
        codebooks.append(codebook_KH[np.argsort(name_K)])
        renamed.append(int((name_K != np.arange(size)).sum()))

    # 2. Items whose semantic codes are as before keep their last code, others get a free one.
    last = fresh.tokens.levels[-1]
    kept_C = (codes_NS[known] == before_CL[:, :-1]).all(axis=1) & (before_CL[:, -1] < last)
    kept_C &= before_CL[:, -1] >= 0
    kept, rest = known[kept_C], np.setdiff1d(np.arange(len(row_N)), known[kept_C])
    tokens = fresh.tokens
    levels, parts = tokens.levels, replace(quantizer, codebooks=tuple(codebooks))
    if len(kept):
        grown = ItemTokens(before_CL[kept_C], levels, parts).append_codes(codes_NS[rest], seed)
        codes_NL = np.empty_like(grown.codes_NL)
        codes_NL[np.concatenate([kept, rest])] = grown.codes_NL
    else:
        codes_NL = np.column_stack([codes_NS, tokens.codes_NL[:, -1]])
    lineage = (*old.tokens.lineage, old.tokens.ancestor("refit"))
    made = Published(ItemTokens(codes_NL, levels, parts, lineage=lineage), fresh.items)

    # 3. What is different after that.
    different_CL = codes_NL[known] != before_CL
    prefix_CL = np.logical_or.accumulate(different_CL, axis=1)
    semantic = range(len(levels) - 1)
    return made, Changes(
        items=len(row_N),
        known=len(known),
        new=len(row_N) - len(known),
        gone=len(old.items) - len(known),
        changed=_share(prefix_CL[:, -1]),
        prefix_changed=tuple(_share(prefix_CL[:, level]) for level in semantic),
        code_changed=tuple(_share(different_CL[:, level]) for level in semantic),
        renamed=tuple(renamed),
    )


def migration_map(old: Published, new: Published) -> pl.DataFrame:
    """Every item of either catalog: item_id, old and new codes as text, and what became of it.

    `became` is "same", "changed", "new" or "gone"; codes are written "12 7 3 0", null for none.
    """
    before = pl.DataFrame({"item_id": old.items.ids, "old": _words(old.tokens)})
    after = pl.DataFrame({"item_id": new.items.ids, "new": _words(new.tokens)})
    if before["item_id"].dtype != after["item_id"].dtype:
        before, after = (side.cast({"item_id": pl.String}) for side in (before, after))
    became = (
        pl.when(pl.col("old").is_null())
        .then(pl.lit("new"))
        .when(pl.col("new").is_null())
        .then(pl.lit("gone"))
        .when(pl.col("old") == pl.col("new"))
        .then(pl.lit("same"))
        .otherwise(pl.lit("changed"))
    )
    both = before.join(after, on="item_id", how="full", coalesce=True, maintain_order="left_right")
    return both.with_columns(became=became)


def _names(new_C: IntArray, old_C: IntArray, size: int) -> IntArray:
    """[K] what to call each new code: names 0 to K - 1, matched with old ones by shared items."""
    shared_KK = np.zeros((size, size))
    inside_C = (old_C >= 0) & (old_C < size)  # -1 where a path had ended
    np.add.at(shared_KK, (new_C[inside_C], old_C[inside_C]), 1)
    # Where nothing is shared, a code rather keeps its name.
    return cheapest_assignment(-shared_KK - 1e-6 * np.eye(size))


def _share(yes_C: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    return float(yes_C.mean()) if len(yes_C) else 0.0


def _words(tokens: ItemTokens) -> list[str]:
    return [" ".join(str(code) for code in path if code >= 0) for path in tokens.codes_NL.tolist()]
