"""Estimates: from values per question to means with intervals, for many recommenders at once.

Shapes      Q questions, J columns (a metric of a recommender), R random draws.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from itemlm.evaluation.results import Estimate
from itemlm.evaluation.significance import bootstrap_means, interval, sign_flip_p_values
from itemlm.types import FloatArray, IntArray

Key = TypeVar("Key", bound=Hashable)
Values = Mapping[str, FloatArray]  # metric -> [Q]
Scores = Mapping[Key, Sequence[Values]]  # whose -> one set of values per seed

FLIPS_PER_DRAW = 20  # small p-values need more draws than intervals


@dataclass(frozen=True)
class Resampling:
    """Draws users again, always the same ones for the same questions.

    Attributes:
        cluster_Q: the user of each question, numbered from 0.
        draws: bootstrap samples.
        seed: of the draws.
    """

    cluster_Q: IntArray
    draws: int
    seed: int

    @property
    def flips(self) -> int:
        """Random sign patterns of a test."""
        return FLIPS_PER_DRAW * self.draws

    def estimates(
        self, scores: Scores[Key], questions: IntArray | None = None
    ) -> dict[Key, dict[str, Estimate]]:
        """Mean, interval and seed spread of every metric of everyone.

        Args:
            scores: values per question, for each seed.
            questions: which ones they belong to; None for all.
        """
        cluster_Q = self.cluster_Q if questions is None else self.cluster_Q[questions]
        compact_Q = np.unique(cluster_Q, return_inverse=True)[1]
        means = {key: mean_over_seeds(of_seeds) for key, of_seeds in scores.items()}
        columns = [(key, metric) for key, values in means.items() for metric in values]
        values_QJ = np.stack([means[key][metric] for key, metric in columns], axis=1)
        low_J, high_J = interval(bootstrap_means(values_QJ, compact_Q, self.draws, self.seed))
        found: dict[Key, dict[str, Estimate]] = {key: {} for key in scores}
        for column, (key, metric) in enumerate(columns):
            by_seed = [values[metric].mean() for values in scores[key]]
            found[key][metric] = Estimate(
                mean=float(values_QJ[:, column].mean()),
                low=float(low_J[column]),
                high=float(high_J[column]),
                seed_spread=float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
            )
        return found

    def p_values(self, differences: Sequence[FloatArray]) -> FloatArray:
        """P-value of the paired randomization test for each [Q] of differences."""
        return sign_flip_p_values(
            np.stack(differences, axis=1), self.cluster_Q, self.flips, self.seed
        )


def mean_over_seeds(of_seeds: Sequence[Values]) -> dict[str, FloatArray]:
    """[Q] mean over seeds of each metric."""
    return {
        metric: np.mean([values[metric] for values in of_seeds], axis=0) for metric in of_seeds[0]
    }
