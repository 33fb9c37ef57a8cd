"""What a set of item tokens is worth, before anything is trained on it.

Good tokens use their codes evenly, give few items the same semantic codes, put near items under the
same prefix far more often than chance would, and keep much of each vector. None of this proves that
a generator trained on them will recommend well; all of it can show that one will not.

Shapes      N items, S semantic levels, K codes of a level, Q items asked about, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itemlm.tokenize.kmeans import Vectors
from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.quantizer import directions
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import DataError, FloatArray, IntArray

if TYPE_CHECKING:
    from rich.table import Table

NEIGHBORS = 10
BLOCK_ELEMENTS = 2**22


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Measures of item tokens; those per level have one entry per semantic level.

    Attributes:
        items: N.
        levels: codes of every level, the last one included.
        unique_prefixes: different tuples of semantic codes.
        sharing: share of items whose semantic codes another item has too.
        largest_group: most items with the same semantic codes.
        usage: share of a level's codes that some item has.
        perplexity: codes that would be in use if all were used equally: exp of the entropy.
        gini: inequality of use, from 0 (all codes equally often) to nearly 1 (one code only).
        agreement: share of an item's 10 nearest neighbors by cosine that share its codes up to and
            including this level; None without vectors.
        chance: the same for two items at random.
        lost: share of the variance of vectors that the codes up to here lose; None without vectors
            of the fitted width, or without codebooks.
    """

    items: int
    levels: tuple[int, ...]
    unique_prefixes: int
    sharing: float
    largest_group: int
    usage: tuple[float, ...]
    perplexity: tuple[float, ...]
    gini: tuple[float, ...]
    agreement: tuple[float, ...] | None
    chance: tuple[float, ...]
    lost: tuple[float, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """The measures as plain values."""
        return asdict(self)

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(
            title=f"Semantic IDs of {self.items:,} items",
            caption=(
                f"{self.unique_prefixes:,} different semantic prefixes; {self.sharing:.1%} of items"
                f" share theirs, at most {self.largest_group:,} the same one; "
                f"last level: {self.levels[-1]} codes"
            ),
        )
        table.add_column("")
        for level in range(len(self.usage)):
            table.add_column(f"level {level + 1}", justify="right")

        def row(name: str, values: Sequence[float] | None, form: str) -> None:
            if values is not None:
                table.add_row(name, *(format(value, form) for value in values))

        row("codes", self.levels[:-1], ",d")
        row("codes used", self.usage, ".1%")
        row("perplexity", self.perplexity, ",.1f")
        row("Gini", self.gini, ".3f")
        row("variance lost so far", self.lost, ".1%")
        row("neighbors sharing the prefix", self.agreement, ".1%")
        row("... by chance", self.chance, ".3%")
        return table


def quality(
    tokens: ItemTokens,
    vectors_ND: FloatArray | None = None,
    *,
    sample: int = 10_000,
    seed: int = 0,
) -> Quality:
    """Measure item tokens.

    Args:
        tokens: any.
        vectors_ND: the vectors they were made from, or others to compare with.
        sample: most items whose neighbors are looked up, against all items.
        seed: of the sample.

    Raises:
        DataError: if there is not one vector per item.
    """
    codes_NS = tokens.semantic_codes
    sizes = tokens.levels[:-1]
    prefixes = [prefix_groups(codes_NS[:, :level]) for level in range(len(sizes) + 1)]
    group_sizes = np.bincount(prefixes[-1])
    counts = [
        np.bincount(code_N, minlength=size) for code_N, size in zip(codes_NS.T, sizes, strict=True)
    ]
    agreement = lost = None
    if vectors_ND is not None:
        if len(vectors_ND) != len(tokens):
            raise DataError(f"there are {len(tokens)} items but {len(vectors_ND)} vectors.")
        direction_ND = directions(vectors_ND)
        rows_Q, neighbors_QK = nearest_neighbors(direction_ND, NEIGHBORS, sample, seed)
        agreement = tuple(
            float(np.mean(group_N[neighbors_QK] == group_N[rows_Q, None])) if len(rows_Q) else 0.0
            for group_N in prefixes[1:]
        )
        quantizer = tokens.quantizer
        if quantizer is not None and len(quantizer.mean_D) == direction_ND.shape[1]:
            error = quantizer.reconstruction_error
            lost = tuple(
                error(direction_ND, codes_NS[:, : level + 1]) for level in range(len(sizes))
            )
    return Quality(
        items=len(tokens),
        levels=tokens.levels,
        unique_prefixes=len(group_sizes),
        sharing=float(group_sizes[group_sizes > 1].sum() / len(tokens)),
        largest_group=int(group_sizes.max()),
        usage=tuple(float(np.mean(count_K > 0)) for count_K in counts),
        perplexity=tuple(_perplexity(count_K) for count_K in counts),
        gini=tuple(_gini(count_K) for count_K in counts),
        agreement=agreement,
        chance=tuple(_chance(group_N) for group_N in prefixes[1:]),
        lost=lost,
    )


def nearest_neighbors(
    direction_ND: Vectors, count: int, sample: int, seed: int
) -> tuple[IntArray, IntArray]:
    """Rows of sampled items, and the rows of their nearest other items by cosine, in any order.

    Vectors of zeros have no direction: they are neither asked about nor anyone's neighbor.
    """
    real = np.flatnonzero(direction_ND.any(axis=1))
    count = min(count, len(real) - 1)
    if count < 1:
        return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.int64)
    places_Q = np.arange(len(real))
    if len(real) > sample:
        places_Q = np.sort(np.random.default_rng(seed).choice(len(real), sample, replace=False))
    others_ND = direction_ND[real]
    neighbors_QK = np.empty((len(places_Q), count), dtype=np.int64)
    size = max(1, BLOCK_ELEMENTS // len(real))
    for start in range(0, len(places_Q), size):
        places_q = places_Q[start : start + size]
        cosine_qN = others_ND[places_q] @ others_ND.T
        cosine_qN[np.arange(len(places_q)), places_q] = -np.inf
        neighbors_QK[start : start + size] = np.argpartition(-cosine_qN, count - 1)[:, :count]
    return real[places_Q], real[neighbors_QK]


def _perplexity(count_K: IntArray) -> float:
    share_K = count_K[count_K > 0] / count_K.sum()
    return float(np.exp(-(share_K * np.log(share_K)).sum()))


def _gini(count_K: IntArray) -> float:
    codes = len(count_K)
    ranks_K = np.arange(1, codes + 1)
    return float(2 * (ranks_K * np.sort(count_K)).sum() / (codes * count_K.sum()) - 1 - 1 / codes)


def _chance(group_N: IntArray) -> float:
    """The chance that two different items at random are of the same group."""
    counts = np.bincount(group_N).astype(np.float64)
    items = len(group_N)
    return float((counts * (counts - 1)).sum() / (items * (items - 1))) if items > 1 else 0.0
