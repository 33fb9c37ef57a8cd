"""Off-policy estimates: what another policy would have earned, from slates that one has logged.

A logged place tells about another policy only where that policy would have shown the same item.
Each place is therefore weighted by how much likelier the item is under the other policy than it was
under the one that was logged: weight = target probability / logged propensity. The reward is that
of an item at its place, such as 1 for a click; other places of the slate are taken not to matter.

Three estimators, of the mean reward per place:

    IPS      mean of weight * reward: unbiased if every item that the other policy shows could have
             been shown, but it swings with a few large weights
    SNIPS    sum of weight * reward / sum of weights: steadier, with a bias that goes away with data
    DR       what a reward model predicts, corrected by weighted errors on the log: unbiased as IPS,
             and the steadier the better the model

Sources     Horvitz and Thompson, "A Generalization of Sampling Without Replacement From a Finite
            Universe", JASA 1952 (IPS).
            Swaminathan and Joachims, "The Self-Normalized Estimator for Counterfactual Learning",
            NeurIPS 2015 (SNIPS).
            Dudík, Langford and Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011,
            arXiv:1103.4601 (DR).
Shapes      E logged places, R random draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from itemlm.evaluation.results import Estimate
from itemlm.evaluation.significance import bootstrap_means, interval
from itemlm.types import BoolArray, DataError, FloatArray, IntArray

LEAST_EFFECTIVE = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class OffPolicyEstimate:
    """What a policy would have earned, and how far to trust that.

    Attributes:
        method: "IPS", "SNIPS" or "DR".
        reward: mean reward per place, with a 95% interval over people.
        places: logged places that were used.
        effective: how many equally weighted places would tell as much: (sum w)^2 / sum w^2.
        mean_weight: about 1 if the log could show all that the other policy shows; what is missing
            from 1 is the share that it could not. Its interval is over people too.
        clipped: share of the weights that were cut to the limit, which biases the estimate.
    """

    method: str
    reward: Estimate
    places: int
    effective: float
    mean_weight: Estimate
    clipped: float


def ips(
    reward_E: FloatArray,
    logged_propensity_E: FloatArray,
    target_probability_E: FloatArray,
    *,
    unit_E: IntArray | None = None,
    clip: float = math.inf,
    least_effective: float = LEAST_EFFECTIVE,
    draws: int = 2000,
    seed: int = 0,
) -> OffPolicyEstimate:
    """Inverse propensity scoring.

    Args:
        reward_E: what each logged place earned.
        logged_propensity_E: probability with which the logged policy showed this item there.
        target_probability_E: probability with which the other policy would, under the same
            conditions as the propensity: given the places before, if that is what was logged.
        unit_E: number of the person of each place, from 0; None: each place is one of its own.
        clip: weights above are cut to this.
        least_effective: refuse a smaller effective sample.
        draws, seed: of the bootstrap.

    Raises:
        DataError: if a probability, reward or shape is not possible, or the effective sample is
            too small.
    """
    sample = _Sample.of(
        reward_E, logged_propensity_E, target_probability_E, unit_E, clip, least_effective
    )
    return sample.estimate("IPS", sample.weight_E * sample.reward_E, draws=draws, seed=seed)


def snips(
    reward_E: FloatArray,
    logged_propensity_E: FloatArray,
    target_probability_E: FloatArray,
    *,
    unit_E: IntArray | None = None,
    clip: float = math.inf,
    least_effective: float = LEAST_EFFECTIVE,
    draws: int = 2000,
    seed: int = 0,
) -> OffPolicyEstimate:
    """Self-normalized inverse propensity scoring; arguments as of `ips`."""
    sample = _Sample.of(
        reward_E, logged_propensity_E, target_probability_E, unit_E, clip, least_effective
    )
    earned_E = sample.weight_E * sample.reward_E
    return sample.estimate("SNIPS", earned_E, normalized=True, draws=draws, seed=seed)


def doubly_robust(
    reward_E: FloatArray,
    logged_propensity_E: FloatArray,
    target_probability_E: FloatArray,
    predicted_E: FloatArray,
    predicted_target_E: FloatArray,
    *,
    unit_E: IntArray | None = None,
    clip: float = math.inf,
    least_effective: float = LEAST_EFFECTIVE,
    draws: int = 2000,
    seed: int = 0,
) -> OffPolicyEstimate:
    """Doubly robust estimate; other arguments as of `ips`.

    Args:
        predicted_E: reward that a model predicts for the item that was logged. The model should be
            made from other data, or be so simple that it cannot learn the log by heart.
        predicted_target_E: reward that it predicts for what the other policy would show there, a
            mean over its items by their probabilities.
    """
    sample = _Sample.of(
        reward_E, logged_propensity_E, target_probability_E, unit_E, clip, least_effective
    )
    predicted_E = _column("predicted reward", predicted_E, len(sample.reward_E))
    expected_E = _column("predicted reward of the target", predicted_target_E, len(predicted_E))
    earned_E = expected_E + sample.weight_E * (sample.reward_E - predicted_E)
    return sample.estimate("DR", earned_E, draws=draws, seed=seed)


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """Checked columns of a log, with their weights."""

    reward_E: FloatArray
    weight_E: FloatArray
    unit_E: IntArray
    effective: float
    clipped: float

    @classmethod
    def of(
        cls,
        reward_E: FloatArray,
        logged_E: FloatArray,
        target_E: FloatArray,
        unit_E: IntArray | None,
        clip: float,
        least_effective: float,
    ) -> _Sample:
        places = len(reward_E)
        if not places:
            raise DataError("there is no logged place, so nothing can be estimated.")
        if not clip > 0:
            raise DataError(f"weights were to be cut to {clip:g}, which is not positive.")
        reward_E = _column("reward", reward_E, places)
        logged_E = _column("logged propensity", logged_E, places)
        target_E = _column("target probability", target_E, places)
        _refuse("logged propensity", logged_E, (logged_E <= 0) | (logged_E > 1), "above 0, up to 1")
        _refuse("target probability", target_E, (target_E < 0) | (target_E > 1), "from 0 to 1")
        raw_E = target_E / logged_E
        weight_E = np.minimum(raw_E, clip)
        total = weight_E.sum()
        effective = float(total**2 / (weight_E**2).sum()) if total else 0.0
        if effective < least_effective or not total:
            raise DataError(
                f"the effective sample is {effective:.1f} of {places:,} logged places, and at "
                f"least {least_effective:g} are needed: the logged policy hardly ever showed what "
                "the other would. Log more slates, or with more chance."
            )
        unit_E = np.arange(places) if unit_E is None else np.unique(unit_E, return_inverse=True)[1]
        if len(unit_E) != places:
            raise DataError(f"{places:,} places, but {len(unit_E):,} persons.")
        return cls(
            reward_E=reward_E,
            weight_E=weight_E,
            unit_E=unit_E,
            effective=effective,
            clipped=float((raw_E > clip).mean()),
        )

    def estimate(
        self,
        method: str,
        earned_E: FloatArray,
        *,
        normalized: bool = False,
        draws: int,
        seed: int,
    ) -> OffPolicyEstimate:
        """The mean of a column, by the mean weight if normalized, with its interval."""
        both_E2 = np.stack([earned_E, self.weight_E], axis=1)
        earned, weight = both_E2.mean(axis=0)
        drawn_R2 = bootstrap_means(both_E2, self.unit_E, draws, seed)
        drawn_R = drawn_R2[:, 0]
        if normalized:
            # A draw without any weight says nothing, and is left out.
            some_R = drawn_R2[:, 1] > 0
            earned, drawn_R = earned / weight, drawn_R[some_R] / drawn_R2[some_R, 1]
        return OffPolicyEstimate(
            method=method,
            reward=_estimate(earned, drawn_R),
            places=len(earned_E),
            effective=self.effective,
            mean_weight=_estimate(weight, drawn_R2[:, 1]),
            clipped=self.clipped,
        )


def _estimate(mean: float, drawn_R: FloatArray) -> Estimate:
    low, high = interval(drawn_R)
    return Estimate(mean=float(mean), low=float(low), high=float(high))


def _column(what: str, values: FloatArray, places: int) -> FloatArray:
    """Values as numbers, one per place.

    Raises:
        DataError: if there are more or fewer, or one is missing or infinite.
    """
    column = np.asarray(values, dtype=np.float64)
    if column.shape != (places,):
        raise DataError(f"{places:,} places, but the {what} has the shape {column.shape}.")
    _refuse(what, column, ~np.isfinite(column), "finite, and there for every place")
    return column


def _refuse(what: str, values: FloatArray, bad_E: BoolArray, rule: str) -> None:
    if bad_E.any():
        first = int(bad_E.argmax())
        raise DataError(
            f"the {what} of place {first} (counted from 0) is {values[first]:g}, and of "
            f"{int(bad_E.sum()):,} places it is not {rule}. Leave such places out."
        )
