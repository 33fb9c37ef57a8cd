"""Comparison: two models, or two groups of an experiment, side by side in what a service logged.

Every figure is a ratio of sums, such as clicked slates to slates. Intervals draw people again,
p-values let people change groups, both as in `itemlm.policy.resampling`.

Sources     Kohavi, Tang and Xu, "Trustworthy Online Controlled Experiments", 2020: chapters 17
            (power) and 21 (sample ratio mismatch).
Shapes      P people, S sums, R random draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import polars as pl

from itemlm.evaluation.results import Estimate
from itemlm.evaluation.significance import holm, interval
from itemlm.policy.outcomes import CLICKS, CONVERSIONS, item_results, slate_results
from itemlm.policy.resampling import Profiles
from itemlm.types import ConfigError, DataError, FloatArray, IntArray, UnknownName

SUMS = ("slates", "items", "clicked", "clicked_items", "converted", "value")
# Each figure as the sum above and the sum below the line.
METRICS = {
    "click-through rate": ("clicked", "slates"),
    "click-through rate of items": ("clicked_items", "items"),
    "conversion rate": ("converted", "slates"),
    "value per slate": ("value", "slates"),
}
MISMATCH = 0.001  # a p-value below this says that people were not assigned as planned
POWER = 0.8
# A true difference of so many standard errors is found at p < 0.05 in 80 % of experiments.
DETECTABLE_ERRORS = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(POWER)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupResult:
    """One side of a comparison.

    Attributes:
        name: of the group or model.
        models: which models answered.
        slates, people, items, clicks: how many slates, people (a slate to an unknown person counts
            as one), items shown, and slates with a click.
        metrics: figures with 95% intervals over people.
    """

    name: str
    models: tuple[str, ...]
    slates: int
    people: int
    items: int
    clicks: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A figure of b minus that of a.

    Attributes:
        metric: which figure.
        estimate: the difference with its 95% interval over people.
        p_value: two-sided, by letting people change groups.
        p_holm: the same, corrected for all figures of the comparison.
        detectable: the smallest true difference that so many people show in 80 % of experiments.
    """

    metric: str
    estimate: Estimate
    p_value: float
    p_holm: float
    detectable: float

    @property
    def clear(self) -> bool:
        """Whether chance is a poor explanation: corrected p below 0.05."""
        return self.p_holm < 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRatio:
    """Did as many people see each group as was planned?

    Attributes:
        people: who saw group a only, and group b only.
        planned: the shares that were wanted.
        p_value: chi-square test with one degree of freedom.
        mismatch: whether p < 0.001; then something sorts people, and no figure can be trusted.
    """

    people: tuple[int, int]
    planned: tuple[float, float]
    p_value: float
    mismatch: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupComparison:
    """Two groups side by side; `itemlm.policy.words` says in sentences what it shows.

    Attributes:
        by: whether a and b are groups or models.
        a, b: figures of either.
        differences: b minus a, by metric.
        ratio: whether people were shared as planned; None where nobody planned it.
        saw_both: people who saw both.
        unlabelled: share of the slates whose group (or model) is not known.
        strangers: share of the compared slates that were shown to unknown people.
    """

    by: Literal["group", "model"]
    a: GroupResult
    b: GroupResult
    differences: Mapping[str, Difference]
    ratio: SampleRatio | None
    saw_both: int
    unlabelled: float
    strangers: float

    def scored(self, metric: str) -> bool:
        """Whether anything was logged that counts for a figure."""
        return any(side.metrics[metric].mean != 0 for side in (self.a, self.b))


def compare_groups(
    shown: pl.DataFrame,
    outcomes: pl.DataFrame,
    a: str,
    b: str,
    *,
    by: Literal["group", "model"] = "group",
    experiment: str | None = None,
    planned: tuple[float, float] | None = None,
    clicks: Sequence[str] = CLICKS,
    conversions: Sequence[str] = CONVERSIONS,
    draws: int = 2000,
    permutations: int = 5000,
    seed: int = 0,
) -> GroupComparison:
    """Two groups of an experiment, or two models, side by side.

    Args:
        shown, outcomes: the log, as `item_results` takes it.
        a, b: names of the two; differences are b minus a, so a is what one has today.
        by: whether they are names of groups or of models.
        experiment: only slates of this experiment; None for all.
        planned: how people were to be shared between a and b, as in (0.9, 0.1) or (1, 1); None
            where nobody planned it.
        clicks, conversions: kinds of outcomes.
        draws: bootstrap samples.
        permutations: for p-values.
        seed: of both.

    Raises:
        UnknownName: if there is no slate of a name or experiment.
        ConfigError: if a and b are the same or the planned shares are not positive.
        DataError: if fewer than two people saw a or b.
    """
    if a == b:
        raise ConfigError(f"'{a}' was to be compared with itself; name two {by}s.")
    slates = slate_results(item_results(shown, outcomes, clicks=clicks, conversions=conversions))
    if experiment is not None:
        known = slates["experiment"].drop_nulls().unique().to_list()
        if experiment not in known:
            raise UnknownName("experiment in this log", experiment, known)
        slates = slates.filter(pl.col("experiment") == experiment)
    for name in (a, b):
        if name not in (known := slates[by].drop_nulls().unique().to_list()):
            raise UnknownName(f"{by} in this log", name, known)
    compared = slates.filter(pl.col(by).is_in([a, b]))
    profiles = Profiles.of(*_sums(compared, by, a, b))
    ratio = None if planned is None else sample_ratio(*profiles.people[:2], planned)
    estimates, differences = _figures(profiles, draws, permutations, seed)
    results = [
        _result(name, compared.filter(pl.col(by) == name), metrics)
        for name, metrics in zip((a, b), estimates, strict=True)
    ]
    for result in results:
        if result.people < 2:
            raise DataError(
                f"only {result.people} person saw '{result.name}', and how people differ cannot "
                "be told from one."
            )
    return GroupComparison(
        by=by,
        a=results[0],
        b=results[1],
        differences=differences,
        ratio=ratio,
        saw_both=profiles.people[2],
        unlabelled=slates[by].null_count() / slates.height,
        strangers=compared["person"].null_count() / compared.height,
    )


def sample_ratio(
    people_a: int, people_b: int, planned: tuple[float, float] = (1, 1)
) -> SampleRatio:
    """Test whether people were shared between two groups as planned.

    Raises:
        ConfigError: if a planned share is not positive.
    """
    if not all(0 < share < math.inf for share in planned):
        raise ConfigError(
            f"the planned shares are {planned[0]:g} and {planned[1]:g}, but both must be positive."
        )
    share_a = planned[0] / sum(planned)
    total = people_a + people_b
    p_value = 1.0
    if total:
        expected_a, expected_b = total * share_a, total * (1 - share_a)
        chi_square = (people_a - expected_a) ** 2 * (1 / expected_a + 1 / expected_b)
        p_value = math.erfc(math.sqrt(chi_square / 2))  # its tail with one degree of freedom
    return SampleRatio(
        people=(people_a, people_b),
        planned=(share_a, 1 - share_a),
        p_value=p_value,
        mismatch=p_value < MISMATCH,
    )


def _sums(slates: pl.DataFrame, by: str, a: str, b: str) -> tuple[FloatArray, FloatArray]:
    """a_PS and b_PS: the sums of every person in either group."""
    unit_Q = slates["unit"].rank("dense").to_numpy().astype(np.int64) - 1
    columns = {"slates": np.ones(slates.height), **{name: slates[name] for name in SUMS[1:]}}
    values_QS = np.stack([np.asarray(columns[name], dtype=np.float64) for name in SUMS], axis=1)
    people = int(unit_Q.max()) + 1
    found = []
    for name in (a, b):
        mine_Q = (slates[by] == name).to_numpy()
        found.append(_sums_by_unit(values_QS[mine_Q], unit_Q[mine_Q], people))
    return found[0], found[1]


def _sums_by_unit(values_QS: FloatArray, unit_Q: IntArray, people: int) -> FloatArray:
    columns = [np.bincount(unit_Q, column, minlength=people) for column in values_QS.T]
    return np.stack(columns, axis=1)


def _ratios(sums_RS: FloatArray) -> FloatArray:
    """[R, metrics] every figure of every draw."""
    above, below = zip(*METRICS.values(), strict=True)
    return (
        sums_RS[:, [SUMS.index(name) for name in above]]
        / sums_RS[:, [SUMS.index(name) for name in below]]
    )


def _figures(
    profiles: Profiles, draws: int, permutations: int, seed: int
) -> tuple[list[dict[str, Estimate]], dict[str, Difference]]:
    """All figures of a and b, and all differences."""
    totals = [profiles.people_D @ sums for sums in (profiles.a_DS, profiles.b_DS)]
    seen = [_ratios(total[None])[0] for total in totals]
    drawn = [_ratios(sums_RS) for sums_RS in profiles.bootstrap(draws, seed)]
    seen_difference, drawn_difference = seen[1] - seen[0], drawn[1] - drawn[0]
    estimates = [_estimates(*pair) for pair in zip(seen, drawn, strict=True)]
    chance_a, chance_b = (_ratios(sums_RS) for sums_RS in profiles.permuted(permutations, seed))
    rounding = 1e-12 * np.maximum(seen[0], seen[1])
    as_far = (np.abs(chance_b - chance_a) >= np.abs(seen_difference) - rounding).sum(axis=0)
    p_values = (1 + as_far) / (1 + permutations)
    differences = zip(METRICS, _estimates(seen_difference, drawn_difference).values(), strict=True)
    return estimates, {
        metric: Difference(
            metric=metric,
            estimate=estimate,
            p_value=float(p_values[place]),
            p_holm=float(holm(p_values)[place]),
            detectable=DETECTABLE_ERRORS * float(drawn_difference[:, place].std(ddof=1)),
        )
        for place, (metric, estimate) in enumerate(differences)
    }


def _estimates(seen: FloatArray, drawn_R: FloatArray) -> dict[str, Estimate]:
    low, high = interval(drawn_R)
    triples = zip(seen.tolist(), low.tolist(), high.tolist(), strict=True)
    return {
        metric: Estimate(mean=mean, low=lowest, high=highest)
        for metric, (mean, lowest, highest) in zip(METRICS, triples, strict=True)
    }


def _result(name: str, slates: pl.DataFrame, metrics: Mapping[str, Estimate]) -> GroupResult:
    return GroupResult(
        name=name,
        models=tuple(sorted(slates["model"].drop_nulls().unique().to_list())),
        slates=slates.height,
        people=slates["unit"].n_unique(),
        items=int(slates["items"].sum()),
        clicks=int(slates["clicked"].sum()),
        metrics=metrics,
    )
