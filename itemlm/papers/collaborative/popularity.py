"""Popularity: recommend to everybody what most people took.

Cremonesi, Koren and Turrin, "Performance of recommender algorithms on top-N recommendation tasks",
RecSys 2010 (where it is called TopPop). With a half-life it is the decayed popularity of
Ji, Sun, Zhang and Li, "A re-visit of the popularity baseline in recommender systems", SIGIR 2020,
arXiv:2005.13829.

The idea    Count the events of each item. It asks nothing of the user, which makes it the floor
            under every personal recommender and the answer to users of whom nothing is known.
Departures  Items with equal counts come in a seeded random order, not in the catalog's. Ji et al.
            look at what was popular when each question was asked; the half-life here looks back
            from the last event of the training data, once.
Measured    docs/papers/popularity.md
Shapes      B queries, N items, E events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.recommender import Catalog, Recommender, Saved
from itemlm.retrieve.exact import topk_in_blocks
from itemlm.types import ConfigError, DataError, FloatArray, IntArray, QueryBatch

if TYPE_CHECKING:
    from itemlm.train.run import Run

MILLISECONDS_PER_DAY = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        half_life_days: an event this long before the last one counts half; None: all count alike.
    """

    half_life_days: float | None = None

    def __post_init__(self) -> None:
        if self.half_life_days is not None and not self.half_life_days > 0:
            raise ConfigError(
                f"half_life_days is {self.half_life_days}, but must be more than 0 days, or None "
                "to count all events alike."
            )


class Popularity(Recommender):
    """One score per item, the same for every query."""

    paper = "popularity"

    def __init__(self, catalog: Catalog, config: Config, scores_N: FloatArray) -> None:
        super().__init__(catalog, config)
        self.scores_N = scores_N

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The most popular items that may be shown; scores are (decayed) event counts."""

        def score(part: QueryBatch) -> FloatArray:
            return np.broadcast_to(self.scores_N, (len(part), len(self.scores_N)))

        return topk_in_blocks(score, batch, k, items=len(self.scores_N))

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The scores."""
        return {"scores": self.scores_N}


def fit(dataset: Dataset, config: Config, run: Run) -> Popularity:
    """Count; nothing is trained, so `run` is not used.

    Raises:
        DataError: if a half-life is asked of data without timestamps.
    """
    sequences = dataset.sequences
    weights_E = None
    if config.half_life_days is not None:
        if sequences.timestamps is None:
            raise DataError(
                f"'{dataset.name}' has no timestamps, which half_life_days="
                f"{config.half_life_days} needs. Leave half_life_days out to count all events."
            )
        newest = sequences.timestamps.max(initial=np.iinfo(np.int64).min)
        age_days_E = (newest - sequences.timestamps) / MILLISECONDS_PER_DAY
        weights_E = 0.5 ** (age_days_E / config.half_life_days)
    scores_N = np.bincount(sequences.item_rows, weights_E, minlength=len(dataset.items))
    return Popularity(Catalog.of(dataset), config, scores_N.astype(np.float64))


def restore(saved: Saved) -> Popularity:
    """The recommender back from its parts."""
    return Popularity(saved.catalog, saved.config_of(Config), saved.state["scores"])


def below_evidence(counts_N: FloatArray | IntArray) -> FloatArray:
    """[N] the order of popularity squeezed into [-1, 0), for models whose evidence is positive.

    An item without evidence scored this way never outranks one with evidence, and the rest of a
    slate is filled with what is popular. Equal counts stay equal: with counts 5, 0, 5, 2 there are
    3 levels, and the scores are -1/3, -3/3, -1/3, -2/3.
    """
    distinct, level_N = np.unique(counts_N, return_inverse=True)
    return ((level_N - len(distinct)) / len(distinct)).astype(np.float32)
