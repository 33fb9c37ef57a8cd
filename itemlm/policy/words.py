"""Words: what a comparison found, as sentences, for readers who are not statisticians.

Nothing is computed here; each sentence restates what the records hold.
"""

from __future__ import annotations

from itemlm.evaluation.results import Estimate
from itemlm.evaluation.words import p_words
from itemlm.policy.comparison import POWER, Difference, GroupComparison

FEW = 30  # people or clicked slates, below which intervals are rough
VALUE = "value per slate"  # the one figure that is not a share
VERBS = {
    "click-through rate": "is clicked",
    "click-through rate of items": "has its items clicked",
    "conversion rate": "converts",
    VALUE: "earns",
}


def findings(comparison: GroupComparison) -> list[str]:
    """One sentence per figure that anybody scored on."""
    a, b = comparison.a, comparison.b
    sentences = []
    for metric, difference in comparison.differences.items():
        if not comparison.scored(metric):
            sentences.append(f"Nothing was logged that counts for the {metric}.")
            continue
        size = f"{change(metric, difference.estimate)}, {p_words(difference.p_holm)}"
        if difference.clear:
            more = "more" if difference.estimate.mean > 0 else "less"
            sentences.append(f"{b.name} {VERBS[metric]} {more} than {a.name}: {size}.")
        else:
            sentences.append(
                f"{a.name} and {b.name} are not told apart by {metric}: {size}. "
                f"{_detectable(metric, difference)}"
            )
    return sentences


def cautions(comparison: GroupComparison) -> list[str]:
    """What a reader should know before trusting the figures."""
    c, sentences = comparison, []
    if c.ratio is not None and c.ratio.mismatch:
        seen, planned = c.ratio.people, c.ratio.planned
        sentences.append(
            f"Sample ratio mismatch: {seen[0]:,} and {seen[1]:,} people saw {c.a.name} and "
            f"{c.b.name}, but {planned[0]:.0%} to {planned[1]:.0%} was planned ("
            f"{p_words(c.ratio.p_value)}). Something sorts people into groups, or loses their "
            "slates; trust no difference before it is found."
        )
    if c.by == "model":
        sentences.append(
            "Models are compared as they were used. Unless chance decided who saw which, a "
            "difference may come from the people and the times."
        )
    if c.saw_both:
        share = c.saw_both / (c.a.people + c.b.people - c.saw_both)
        sentences.append(
            f"{share:.1%} of the people ({c.saw_both:,}) saw both {c.by}s. They count for "
            "both, and what they saw of one may have changed what they did with the other."
        )
    if c.unlabelled:
        sentences.append(f"{c.unlabelled:.1%} of the slates have no known {c.by} and are left out.")
    if c.strangers:
        sentences.append(
            f"{c.strangers:.1%} of the slates were shown to unknown people. Each stands for a "
            "person of its own, which makes intervals too narrow where one came back."
        )
    for side in (c.a, c.b):
        if min(side.clicks, side.people) < FEW:
            sentences.append(
                f"Of {side.name} there are {side.people:,} people and {side.clicks:,} slates with "
                "a click; intervals of so few are rough."
            )
    return sentences


def change(metric: str, estimate: Estimate) -> str:
    """`+1.2 points [+0.4, +2.0]`, or for values `+0.12 [+0.04, +0.20]`."""
    unit = "" if metric == VALUE else " points"
    low, high = _signed(metric, estimate.low), _signed(metric, estimate.high)
    return f"{_signed(metric, estimate.mean)}{unit} [{low}, {high}]"


def figure(metric: str, estimate: Estimate) -> str:
    """`4.31% ±0.52`, or for values `0.125 ±0.031`; ± is half the interval."""
    if metric == VALUE:
        return f"{estimate.mean:.4g} ±{estimate.half_width:.2g}"
    return f"{estimate.mean:.2%} ±{100 * estimate.half_width:.2f}"


def _detectable(metric: str, difference: Difference) -> str:
    size = _signed(metric, difference.detectable)[1:]
    unit = "" if metric == VALUE else " points"
    return f"A true difference of {size}{unit} would be found in {POWER:.0%} of such experiments."


def _signed(metric: str, value: float) -> str:
    text = f"{value:+.4g}" if metric == VALUE else f"{100 * value:+.2f}"
    return text.replace("-", "−")
