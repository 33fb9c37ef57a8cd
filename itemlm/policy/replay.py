"""Replay: what a model that was never shown would have earned, from slates logged with chance.

The model is asked for its ranking at every logged slate. At each place it would have put the first
item of that ranking that does not already stand above; where that is the item that was logged, the
log tells what it earned there. The estimate is thus of one place filled by the model, with the
places before it as they were logged, which is also how propensities are logged.

What this assumes: the reward of an item depends on who sees it at which place, not on its
neighbors, and the model would have been asked under the same filters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from itemlm.policy.off_policy import OffPolicyEstimate, doubly_robust, ips, snips
from itemlm.types import BoolArray, DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """A model judged from a log.

    Attributes:
        logged: what the same places earned as they were filled.
        estimates: by method, what the model would have earned there.
        agreement: share of the places that the model would have filled with the same item.
        left_out: share of the places of these slates where chance decided nothing, such as pins.
    """

    logged: OffPolicyEstimate
    estimates: Mapping[str, OffPolicyEstimate]
    agreement: float
    left_out: float


def replay(
    items: pl.DataFrame,
    rankings: Mapping[str, Sequence[str]],
    *,
    reward: str = "clicked",
    clip: float = 100.0,
    draws: int = 2000,
    seed: int = 0,
) -> Replay:
    """Judge a model by its rankings for logged slates.

    The reward model of the doubly robust estimate knows places only: the mean reward of each.

    Args:
        items: what became of the items shown, as `item_results` gives it.
        rankings: item ids as text, best first, by recommendation id; at least as long as the slate.
        reward: the column to add up: "clicked", "converted" or "value".
        clip: weights above are cut to this.
        draws, seed: of the bootstrap.

    Raises:
        DataError: if chance decided no place, a propensity is impossible, or the effective sample
            is too small.
    """
    items = items.filter(pl.col("recommendation_id").is_in(list(rankings)))
    items = items.sort("recommendation_id", "place")
    chance = ~_certain(items)
    if not chance.any():
        raise DataError(
            "no place was logged with a propensity below 1. The service logs them for "
            "recommendations with `explore` above 0."
        )
    agree_E = fills(items, rankings)[chance.to_numpy()]
    places = items.filter(chance)
    reward_E = places[reward].cast(pl.Float64).to_numpy()
    logged_E = places["propensity"].to_numpy()
    target_E = agree_E.astype(np.float64)
    predicted_E = places.select(pl.col(reward).cast(pl.Float64).mean().over("place"))
    model_E = predicted_E.to_series().to_numpy()
    unit_E, log = places["unit"].to_numpy(), (reward_E, logged_E)
    return Replay(
        # With the logged policy as its own target every weight is 1.
        logged=ips(*log, logged_E, unit_E=unit_E, least_effective=0, draws=draws, seed=seed),
        estimates={
            found.method: found
            for found in (
                ips(*log, target_E, unit_E=unit_E, clip=clip, draws=draws, seed=seed),
                snips(*log, target_E, unit_E=unit_E, clip=clip, draws=draws, seed=seed),
                doubly_robust(
                    *(*log, target_E, model_E, model_E),
                    unit_E=unit_E,
                    clip=clip,
                    draws=draws,
                    seed=seed,
                ),
            )
        },
        agreement=float(target_E.mean()),
        left_out=1 - len(places) / len(items),
    )


def fills(items: pl.DataFrame, rankings: Mapping[str, Sequence[str]]) -> BoolArray:
    """[E] whether a ranking would put the logged item at its place, given the places before it.

    Args:
        items: `recommendation_id` and `item_id` as text and `propensity`, slate by slate, each from
            its first place. Items with a propensity of 1 or none have their place for sure.
        rankings: item ids, best first, for every slate.
    """
    pinned: dict[str, set[str]] = {}
    for recommendation_id, item_id in _pairs(items.filter(_certain(items))):
        pinned.setdefault(recommendation_id, set()).add(item_id)
    found = []
    slate, taken, waiting = None, set[str](), list[str]()
    for recommendation_id, item_id in _pairs(items):
        if recommendation_id != slate:
            slate, taken = recommendation_id, pinned.get(recommendation_id, set())
            waiting = list(reversed(rankings[recommendation_id]))
        while waiting and waiting[-1] in taken:
            waiting.pop()
        found.append(bool(waiting) and waiting[-1] == item_id)
        taken.add(item_id)
    return np.array(found, dtype=bool)


def _certain(items: pl.DataFrame) -> pl.Series:
    """Where nothing was left to chance."""
    return items["propensity"].fill_null(1.0) == 1.0


def _pairs(items: pl.DataFrame) -> Iterator[tuple[str, str]]:
    return items.select("recommendation_id", "item_id").iter_rows()
