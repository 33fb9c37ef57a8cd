"""What a set of item tokens is worth, before anything is trained on it.

Good tokens use their codes evenly, give few items the same path up to its last code, and lead from
an item to its neighbors: items that are described alike, taken together or taken next share the
first codes far more often than chance would have it. None of this proves that a generator trained
on them will recommend well; all of it can show that one will not.

Nothing is assumed of the tokens: paths may differ in length, codes may mean the same on all levels,
there may be one level only, and the last code may mean something or nothing. *Siblings* share all
codes but the last of their path. Where the last code only tells items apart, as `unique` adds it,
siblings are the collisions of the codes that carry meaning.

Shapes      N items, L levels, K codes of a level, P pairs of neighbors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itemlm.data.held_out import HeldOut
from itemlm.data.sequences import Sequences
from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.neighbors import Pairs, company, followers, nearest_neighbors
from itemlm.tokenize.quantizer import directions
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import DataError, FloatArray, IntArray

if TYPE_CHECKING:
    from rich.table import Table

NEIGHBORS = 10


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Measures of item tokens. Those "per level" have one entry per level, those "per prefix" one
    for the first code, one for the first two and so on; the whole path is every item's own.

    Attributes:
        items: N.
        levels: codes of every level.
        vocabulary: different codes in all; those that all levels share count once.
        used: share of them that some item has.
        length: codes per item, on average.
        unique_prefixes: different paths without their last code.
        sharing: share of items that have a sibling.
        largest_group: most items with the same path but for the last code.
        reach: per level, the share of items whose path has a code there.
        usage: per level, the share of its codes that some item has.
        perplexity: per level, codes that would be in use if all were used equally: exp of the
            entropy.
        gini: per level, inequality of use, from 0 (all codes equally often) to nearly 1 (one only).
        agreement: per prefix, share of an item's 10 nearest neighbors by cosine that share it; None
            without vectors.
        company: the same for the 10 items that it shares most histories with (by cosine); None
            without histories.
        following: the same for the item taken next, in held-out questions; None without them.
        chance: the same for two items at random.
        halvings: of each of these kinds of neighbors, how often knowing the prefix that is shared
            halves the catalog, on average. 3 means: down to an eighth. This can be compared between
            tokens of different sizes, which the shares cannot.
        purity, top_purity: per prefix, share of the other items with the same prefix that are of
            the same category (the whole path, its first step), averaged over items that have such;
            None without categories.
        chance_purity, chance_top_purity: the same for two items at random.
        lost: per level of the codebooks, share of the variance of vectors that the codes up to here
            lose; None without vectors of the fitted width, or without codebooks.
    """

    items: int
    levels: tuple[int, ...]
    vocabulary: int
    used: float
    length: float
    unique_prefixes: int
    sharing: float
    largest_group: int
    reach: tuple[float, ...]
    usage: tuple[float, ...]
    perplexity: tuple[float, ...]
    gini: tuple[float, ...]
    agreement: tuple[float, ...] | None
    company: tuple[float, ...] | None
    following: tuple[float, ...] | None
    chance: tuple[float, ...]
    halvings: dict[str, float]
    purity: tuple[float, ...] | None
    top_purity: tuple[float, ...] | None
    chance_purity: float | None
    chance_top_purity: float | None
    lost: tuple[float, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """The measures as plain values."""
        return asdict(self)

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(
            title=f"Semantic IDs of {self.items:,} items",
            caption=(
                f"{self.unique_prefixes:,} different paths but for the last code; "
                f"{self.sharing:.1%} of items share theirs, at most {self.largest_group:,} the "
                f"same one; {self.length:.1f} codes per item, {self.used:.0%} of "
                f"{self.vocabulary:,} in use"
            ),
        )
        table.add_column("")
        for level in range(len(self.levels)):
            table.add_column(f"level {level + 1}", justify="right")

        def row(name: str, values: Sequence[float] | None, form: str) -> None:
            if values:
                blank = [""] * (len(self.levels) - len(values))
                table.add_row(name, *(format(value, form) for value in values), *blank)

        row("codes", self.levels, ",d")
        if min(self.reach) < 1:
            row("items with a code here", self.reach, ".1%")
        row("codes used", self.usage, ".1%")
        row("perplexity", self.perplexity, ",.1f")
        row("Gini", self.gini, ".3f")
        row("variance lost so far", self.lost, ".1%")
        row("neighbors sharing the prefix", self.agreement, ".1%")
        row("... taken together", self.company, ".1%")
        row("... taken next", self.following, ".1%")
        row("... by chance", self.chance, ".3%")
        row("same category below the prefix", self.purity, ".1%")
        row("same top category", self.top_purity, ".1%")
        if self.purity and self.chance_purity is not None and self.chance_top_purity is not None:
            table.add_row(
                "... by chance", f"{self.chance_purity:.1%}, {self.chance_top_purity:.1%}"
            )
        return table


def quality(
    tokens: ItemTokens,
    vectors_ND: FloatArray | None = None,
    *,
    histories: Sequences | None = None,
    questions: HeldOut | None = None,
    categories: Sequence[tuple[str, ...]] | None = None,
    sample: int = 10_000,
    seed: int = 0,
) -> Quality:
    """Measure item tokens.

    Args:
        tokens: any.
        vectors_ND: the vectors they were made from, or others to compare with.
        histories: of the training part.
        questions: held out, such as `split.validation`: do the codes of an item lead to the next?
        categories: of every item, from the general to the particular, () where none is known.
        sample: most items whose neighbors are looked up, against all items.
        seed: of the sample.

    Raises:
        DataError: if there is not one vector or category per item.
    """
    items, codes_NL, sizes = len(tokens), tokens.codes_NL, tokens.levels
    prefixes = [prefix_groups(codes_NL[:, :length]) for length in range(len(sizes))]
    siblings = np.bincount(prefix_groups(tokens.bodies_NL))
    counts = [
        np.bincount(code_N[code_N >= 0], minlength=size)
        for code_N, size in zip(codes_NL.T, sizes, strict=True)
    ]
    used = np.sum(counts, axis=0) > 0 if tokens.shared else np.concatenate(counts) > 0

    kinds: dict[str, Pairs] = {}
    lost = None
    if vectors_ND is not None:
        _check(items, len(vectors_ND), "vectors")
        direction_ND = directions(vectors_ND)
        rows_Q, neighbors_QK = nearest_neighbors(direction_ND, NEIGHBORS, sample, seed)
        kinds["agreement"] = np.repeat(rows_Q, neighbors_QK.shape[1]), neighbors_QK.ravel()
        quantizer = tokens.quantizer
        if quantizer is not None and len(quantizer.mean_D) == direction_ND.shape[1]:
            error, codes_NS = quantizer.reconstruction_error, tokens.semantic_codes
            lost = tuple(
                error(direction_ND, codes_NS[:, : level + 1]) for level in range(len(sizes) - 1)
            )
    if histories is not None:
        kinds["company"] = company(histories, items, NEIGHBORS, sample, seed)
    if questions is not None:
        kinds["following"] = followers(questions)
    shares = {name: _shares(pairs, prefixes) for name, pairs in kinds.items()}

    purity = top_purity = chance_purity = chance_top_purity = None
    if categories is not None:
        _check(items, len(categories), "category paths")
        whole_N, top_N = _numbered(categories), _numbered([path[:1] for path in categories])
        purity = tuple(_purity(group_N, whole_N) for group_N in prefixes[1:])
        top_purity = tuple(_purity(group_N, top_N) for group_N in prefixes[1:])
        known_N = whole_N >= 0
        chance_purity, chance_top_purity = _chance(whole_N[known_N]), _chance(top_N[known_N])
    return Quality(
        items=items,
        levels=sizes,
        vocabulary=len(used),
        used=float(used.mean()),
        length=float(tokens.lengths_N.mean()),
        unique_prefixes=len(siblings),
        sharing=float(siblings[siblings > 1].sum() / items),
        largest_group=int(siblings.max()),
        reach=tuple(float(count_K.sum() / items) for count_K in counts),
        usage=tuple(float(np.mean(count_K > 0)) for count_K in counts),
        perplexity=tuple(_perplexity(count_K) for count_K in counts),
        gini=tuple(_gini(count_K) for count_K in counts),
        agreement=shares.get("agreement"),
        company=shares.get("company"),
        following=shares.get("following"),
        chance=tuple(_chance(group_N) for group_N in prefixes[1:]),
        halvings={name: _halvings(pairs, prefixes) for name, pairs in kinds.items()},
        purity=purity,
        top_purity=top_purity,
        chance_purity=chance_purity,
        chance_top_purity=chance_top_purity,
        lost=lost,
    )


def _check(items: int, found: int, what: str) -> None:
    if found != items:
        raise DataError(f"there are {items} items but {found} {what}.")


def _shares(pairs: Pairs, prefixes: Sequence[IntArray]) -> tuple[float, ...]:
    """Share of pairs with the same prefix of 1, 2, ... codes; 0 where there are no pairs."""
    item_P, other_P = pairs
    if not len(item_P):
        return (0.0,) * (len(prefixes) - 1)
    return tuple(float(np.mean(group_N[item_P] == group_N[other_P])) for group_N in prefixes[1:])


def _halvings(pairs: Pairs, prefixes: Sequence[IntArray]) -> float:
    """How often the longest prefix that a pair shares halves the other items, on average."""
    item_P, other_P = pairs
    if not len(item_P):
        return 0.0
    others_P = np.full(len(item_P), len(prefixes[0]) - 1)
    for group_N in prefixes[1:]:
        size_P = np.bincount(group_N)[group_N[item_P]]
        others_P = np.where(group_N[item_P] == group_N[other_P], size_P - 1, others_P)
    return float(np.log2((len(prefixes[0]) - 1) / others_P).mean())


def _numbered(names: Sequence[tuple[str, ...]]) -> IntArray:
    """[N] a number for each name, -1 for ()."""
    numbers: dict[tuple[str, ...], int] = {(): -1}
    return np.array([numbers.setdefault(name, len(numbers) - 1) for name in names])


def _purity(group_N: IntArray, category_N: IntArray) -> float:
    """Share of the others of an item's group that are of its category, averaged over items."""
    known = np.flatnonzero(category_N >= 0)
    group_N, category_N = group_N[known], category_N[known]
    both_N = prefix_groups(np.column_stack([group_N, category_N]))
    mates_N = np.bincount(group_N)[group_N] - 1 if len(known) else group_N
    alike_N = np.bincount(both_N)[both_N] - 1 if len(known) else group_N
    shared_N = mates_N > 0
    return float(np.mean(alike_N[shared_N] / mates_N[shared_N])) if shared_N.any() else 0.0


def _perplexity(count_K: IntArray) -> float:
    share_K = count_K[count_K > 0] / max(count_K.sum(), 1)
    return float(np.exp(-(share_K * np.log(share_K)).sum()))


def _gini(count_K: IntArray) -> float:
    codes, total = len(count_K), max(int(count_K.sum()), 1)
    ranks_K = np.arange(1, codes + 1)
    gini = 2 * (ranks_K * np.sort(count_K)).sum() / (codes * total) - 1 - 1 / codes
    return max(0.0, float(gini))  # rounding may go below


def _chance(group_N: IntArray) -> float:
    """The chance that two different items at random are of the same group."""
    counts = np.bincount(group_N).astype(np.float64)
    items = len(group_N)
    return float((counts * (counts - 1)).sum() / (items * (items - 1))) if items > 1 else 0.0
