"""Shaping: from a pool of candidates to a slate, under the rules of a request or a scenario.

Without rules a slate is the head of the pool. With rules every candidate gets a value:

1. Relevance. Scores of models are log-probabilities, dot products or counts: only their order and
   their gaps mean something. So the best finite score of the pool becomes 1 and the lowest 0.01,
   and those between are spaced as they were; equal scores stay equal (a pool of equal scores is all
   1). -inf becomes 0. Candidates without scores (nan) take the relevance of the one before; if none
   has a score, relevance falls evenly from 1 to 0.01. The order of the pool is never contradicted:
   a score above an earlier one counts as equal to it.
2. Boosts. Each factor multiplies the relevance of its items: a factor of 100, the largest that the
   service takes, just lifts the last candidate to the best one.
3. Novelty n mixes in what is rare: (1 - n) * relevance + n * (1 - popularity).

Then places are filled, the first one first:

4. Diversity d: the next item has the highest (1 - d) * value - d * similarity, where similarity is
   the highest cosine with an item of the slate, and 0 while the slate is empty. This is maximal
   marginal relevance (Carbonell and Goldstein, SIGIR 1998).
5. Exploration x: the next item is not the one with the highest v, as this figure is called here,
   but drawn with a probability proportional to exp(v / t), t = 0.1 * x / (1 - x). This is a
   Plackett-Luce model. At x = 0.5, an item whose v is 0.1 higher has 2.72 times the chance; at
   x = 1 all have the same.

Equal values stay in the order of the pool. Limits (at most m items per value of a field) hold while
places are filled: an item that would break one is passed over. Pins have their places whatever the
rest; those that are in the pool count for similarity and for limits from the start, but are not
held back by limits.

Shapes      C candidates, D width of vectors, K places.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from itemlm.types import BoolArray, FloatArray, IntArray

LOWEST = 0.01  # relevance of the last candidate; at 0, no boost could move it
HEAT = 0.1  # temperature at explore = 0.5
COLDEST = 1e-12  # temperature below which differences between values would overflow


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Candidates, best first.

    Attributes:
        rows_C: their rows in the catalog, each once.
        scores_C: what the model gave them; nan where there is no score.
        vectors_CD: text vectors of unit length, or zero where a text is empty; for diversity.
        popularity_C: share of the catalog that is less popular, in [0, 1]; for novelty.

    Raises:
        ValueError: if lengths differ or a row comes twice.
    """

    rows_C: IntArray
    scores_C: FloatArray
    vectors_CD: FloatArray | None = None
    popularity_C: FloatArray | None = None

    def __post_init__(self) -> None:
        parts = (self.scores_C, self.vectors_CD, self.popularity_C)
        if any(part is not None and len(part) != len(self) for part in parts):
            raise ValueError("scores, vectors and popularity are given for every candidate")
        if len(np.unique(self.rows_C)) != len(self):
            raise ValueError("a candidate is in the pool twice")

    def __len__(self) -> int:
        return len(self.rows_C)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a slate must be like.

    Attributes:
        boosts: which candidates (mask_C) and the factor on their relevance.
        limits: the values that each candidate has in a field (none, one or several) and how many
            items of the slate may share one.
        pins: row of the catalog by place, 1 being the first. Places beyond the slate are ignored.
        diversity: 0 cares for value alone, 1 for difference alone.
        novelty: 0 cares for relevance alone, 1 for rarity alone.
        explore: 0 leaves nothing to chance, 1 everything.

    Raises:
        ValueError: if a dial is outside [0, 1], a place or a limit is below 1, or a row is pinned
            twice.
    """

    boosts: Sequence[tuple[BoolArray, float]] = ()
    limits: Sequence[tuple[Sequence[Sequence[Hashable]], int]] = ()
    pins: Mapping[int, int] = field(default_factory=dict)
    diversity: float = 0.0
    novelty: float = 0.0
    explore: float = 0.0

    def __post_init__(self) -> None:
        for name in ("diversity", "novelty", "explore"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but lies between 0 and 1")
        if any(place < 1 for place in self.pins) or any(most < 1 for _, most in self.limits):
            raise ValueError("places and limits begin with 1")
        if len(set(self.pins.values())) != len(self.pins):
            raise ValueError("an item is pinned to two places")


@dataclass(frozen=True)
class Shaped:
    """A slate.

    Attributes:
        rows_K: rows of the catalog; fewer than asked for if nothing more may be shown.
        scores_K: what the model gave them; nan for pinned items that are not in the pool.
        pinned_K: which are pinned.
        propensities_K: probability of each item at its place, given those before it and the pins;
            1 for pinned ones. None where nothing was left to chance.
    """

    rows_K: IntArray
    scores_K: FloatArray
    pinned_K: BoolArray
    propensities_K: FloatArray | None


def shape(pool: Pool, rules: Rules, k: int, rng: np.random.Generator | None = None) -> Shaped:
    """The slate that rules make of a pool.

    Where nothing is left that may fill the places before a pin, the pin moves up.

    Args:
        pool: the candidates.
        rules: what the slate must be like.
        k: places in the slate.
        rng: source of chance; needed where `rules.explore` is not 0.

    Raises:
        ValueError: if a rule needs something that is not given: diversity vectors, novelty
            popularity, exploration a source of chance.
    """
    if rules.explore and rng is None:
        raise ValueError("exploration needs a source of chance")
    filling = _Filling(pool, rules)
    pins = {place: row for place, row in rules.pins.items() if place <= k}
    candidates = {int(row): candidate for candidate, row in enumerate(pool.rows_C)}
    for row in pins.values():
        if row in candidates:
            filling.take(candidates[row])
    rows, scores, pinned, propensities = [], [], [], []
    for place in range(1, k + 1):
        if place in pins:
            row, chance = pins[place], 1.0
        else:
            candidate, chance = filling.next(rng)
            if candidate is None:
                continue
            filling.take(candidate)
            row = int(pool.rows_C[candidate])
        rows.append(row)
        scores.append(float(pool.scores_C[candidates[row]]) if row in candidates else np.nan)
        pinned.append(place in pins)
        propensities.append(chance)
    return Shaped(
        rows_K=np.array(rows, dtype=np.int64),
        scores_K=np.array(scores, dtype=np.float64),
        pinned_K=np.array(pinned, dtype=bool),
        propensities_K=np.array(propensities, dtype=np.float64) if rules.explore else None,
    )


def relevance(scores_C: FloatArray) -> FloatArray:
    """[C] scores between 0 and 1, comparable between models; see step 1 above."""
    scores_C = np.fmin.accumulate(np.asarray(scores_C, dtype=np.float64))
    if np.isnan(scores_C).all():
        return np.linspace(1.0, LOWEST, len(scores_C))
    scores_C = np.where(np.isnan(scores_C), np.nanmax(scores_C), scores_C)
    relevance_C = np.where(scores_C == -np.inf, 0.0, 1.0)
    finite_C = np.isfinite(scores_C)
    if finite_C.any():
        high, low = scores_C[finite_C].max(), scores_C[finite_C].min()
        if high > low:
            # Divided first, since the gap between two huge scores may be no finite number.
            largest = max(abs(high), abs(low))
            share_C = (scores_C[finite_C] / largest - low / largest) / (
                high / largest - low / largest
            )
            relevance_C[finite_C] = LOWEST + (1 - LOWEST) * share_C
    return relevance_C


def values(pool: Pool, rules: Rules) -> FloatArray:
    """[C] what each candidate is worth before the rest of the slate is looked at: steps 1 to 3."""
    value_C = relevance(pool.scores_C)
    for mask_C, factor in rules.boosts:
        value_C = np.where(mask_C, value_C * factor, value_C)
    if rules.novelty:
        if pool.popularity_C is None:
            raise ValueError("novelty needs the popularity of the candidates")
        value_C = (1 - rules.novelty) * value_C + rules.novelty * (1 - pool.popularity_C)
    return value_C


class _Filling:
    """Candidates that are still free while a slate is being filled."""

    def __init__(self, pool: Pool, rules: Rules) -> None:
        self.free_C = np.ones(len(pool), dtype=bool)
        self.value_C = (1 - rules.diversity) * values(pool, rules)
        self.diversity = rules.diversity
        self.vectors_CD = pool.vectors_CD
        if rules.diversity and pool.vectors_CD is None:
            raise ValueError("diversity needs the vectors of the candidates")
        self.similarity_C: FloatArray | None = None  # highest cosine with a taken candidate
        odds = rules.explore / (1 - rules.explore) if rules.explore < 1 else np.inf
        self.temperature = max(COLDEST, HEAT * odds) if rules.explore else 0.0
        self.limits = [_Limit(values_C, most) for values_C, most in rules.limits]

    def take(self, candidate: int) -> None:
        """Put a candidate into the slate."""
        self.free_C[candidate] = False
        for limit in self.limits:
            limit.count(candidate, self.free_C)
        if self.diversity and self.vectors_CD is not None:
            cosine_C = self.vectors_CD @ self.vectors_CD[candidate]
            if self.similarity_C is not None:
                cosine_C = np.maximum(cosine_C, self.similarity_C)
            self.similarity_C = cosine_C

    def next(self, rng: np.random.Generator | None) -> tuple[int | None, float]:
        """The candidate for the next place and its probability; None if nothing is left."""
        if not self.free_C.any():
            return None, 0.0
        value_C = self.value_C
        if self.similarity_C is not None:
            value_C = value_C - self.diversity * self.similarity_C
        value_C = np.where(self.free_C, value_C, -np.inf)
        best = int(value_C.argmax())
        if rng is None or not self.temperature:
            return best, 1.0
        gap_C = np.where(self.free_C, value_C - value_C[best], 0.0)
        weight_C = np.where(self.free_C, np.exp(gap_C / self.temperature), 0.0)
        below_C = weight_C.cumsum()
        # Divided by the last, it ends in exactly 1, which no draw reaches.
        drawn = int(np.searchsorted(below_C / below_C[-1], rng.random(), side="right"))
        return drawn, float(weight_C[drawn] / below_C[-1])


class _Limit:
    """At most so many items of a slate may share a value."""

    def __init__(self, values_C: Sequence[Sequence[Hashable]], most: int) -> None:
        self.values_C = [set(values) for values in values_C]
        self.most = most
        self.holders: dict[Hashable, list[int]] = {}
        for candidate, held in enumerate(self.values_C):
            for value in held:
                self.holders.setdefault(value, []).append(candidate)
        self.left = dict.fromkeys(self.holders, most)

    def count(self, candidate: int, free_C: BoolArray) -> None:
        """Count a taken candidate; those that share a value that is used up are free no more."""
        for value in self.values_C[candidate]:
            self.left[value] -= 1
            if self.left[value] == 0:
                free_C[self.holders[value]] = False
