"""Results: what an evaluation found, as plain frozen records.

Everything here goes into the report's JSON as it stands, but for the arrays, which stay in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from itemlm.evaluation.beyond import Beyond
from itemlm.evaluation.metrics import full_name
from itemlm.types import FloatArray, IntArray, UnknownName

IN_MEMORY = {"in_memory": True}  # field metadata: left out of the JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a recommender cost to make; None where it is not known."""

    fit_seconds: float | None = None
    parameters: int | None = None
    epochs: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean with its uncertainty.

    Attributes:
        mean: over questions, and over seeds where there are several.
        low, high: 95% bootstrap interval over users.
        seed_spread: standard deviation of the mean between seeds; None for one seed. It is not part
            of the interval.
    """

    mean: float
    low: float
    high: float
    seed_spread: float | None = None

    @property
    def half_width(self) -> float:
        """Half the interval, for `mean ± half`."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceResult:
    """One recommender on one slice of the questions."""

    family: str
    name: str
    definition: str
    questions: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Speed of answering, on the machine of the evaluation.

    Attributes:
        seconds: for all questions in batches, mean over seeds.
        questions_per_second: in batches.
        latency_ms: median for a question asked alone.
        latency_64_ms: median for 64 questions asked together.
    """

    seconds: float
    questions_per_second: float
    latency_ms: float
    latency_64_ms: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """All that was measured of one recommender. `result["NDCG@10"]` or `result["N@10"]`.

    Attributes:
        name: as given to `evaluate`.
        seeds: how many fitted models the figures are means of.
        metrics: by full name.
        by_seed: the mean of each metric for every seed.
        new_only: metrics over targets that are not in the history; None if all are new.
        slices: Recall and NDCG for parts of the questions.
        beyond: figures of the lists themselves.
        tied_lists: share of questions whose list has two neighbors with the same score.
        short_lists: share of questions with fewer items than were asked for.
        timing, cost: what answering and making it take.
        of_oracle: share of the oracle's figure, by metric; None without an oracle.
        lists_fingerprint: twelve hex digits that change when any list changes, one per seed.
        values: [Q] value of each metric for every question, mean over seeds.
        lists: rows_QK of every seed.
    """

    name: str
    seeds: int
    metrics: Mapping[str, Estimate]
    by_seed: Mapping[str, tuple[float, ...]]
    new_only: Mapping[str, Estimate] | None
    slices: tuple[SliceResult, ...]
    beyond: Beyond
    tied_lists: float
    short_lists: float
    timing: Timing
    cost: Cost
    of_oracle: Mapping[str, float] | None
    lists_fingerprint: tuple[str, ...]
    values: Mapping[str, FloatArray] = field(repr=False, metadata=IN_MEMORY)
    lists: tuple[IntArray, ...] = field(repr=False, metadata=IN_MEMORY)

    def __getitem__(self, name: str) -> Estimate:
        metric = full_name(name)
        if metric not in self.metrics:
            raise UnknownName("measured metric", metric, self.metrics)
        return self.metrics[metric]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A recommender minus a baseline, on the same questions.

    Attributes:
        difference: of the means, with a paired bootstrap interval.
        p_value: two-sided paired randomization test over users.
        p_holm: the same, corrected for all comparisons of the report.
    """

    name: str
    baseline: str
    metric: str
    difference: Estimate
    p_value: float
    p_holm: float

    @property
    def stars(self) -> str:
        """`***`, `**`, `*` for a corrected p below 0.001, 0.01, 0.05; else `n.s.`."""
        for limit, stars in ((0.001, "***"), (0.01, "**"), (0.05, "*")):
            if self.p_holm < limit:
                return stars
        return "n.s."


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """Under which conditions the questions were asked: all that is needed to ask them again.

    Attributes:
        part: "validation" or "test".
        split: how the questions were held out.
        fingerprint: of questions and answers.
        questions, users, targets, items: how many of each.
        candidates: which items compete.
        masking: what may not be recommended.
        tied_times: share of questions whose answer ties in time with the event before it; None
            without timestamps.
        repeats: share of targets that are already in the history of their question.
        ks: cut-offs.
        k: the cut-off of slices, comparisons and all figures beyond accuracy.
        baselines, oracle: names of the recommenders with these parts.
        bootstrap, flips, seed: of intervals and tests.
        categories: the catalog column behind similarity and calibration, or why there is none.
        versions: of the software.
    """

    part: str
    split: str
    fingerprint: str
    questions: int
    users: int
    targets: int
    items: int
    candidates: str
    masking: str
    tied_times: float | None
    repeats: float
    ks: tuple[int, ...]
    k: int
    baselines: tuple[str, ...]
    oracle: str | None
    bootstrap: int
    flips: int
    seed: int
    categories: str
    versions: Mapping[str, str]


def as_plain(value: Any) -> Any:
    """Records as dictionaries and lists that JSON can hold, without the arrays."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = [entry for entry in fields(value) if not entry.metadata.get("in_memory")]
        return {entry.name: as_plain(getattr(value, entry.name)) for entry in kept}
    if isinstance(value, Mapping):
        return {key: as_plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_plain(entry) for entry in value]
    return value
