"""Sentences must say no more than the figures do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from itemlm.evaluation.results import Comparison, Conditions, Estimate
from itemlm.evaluation.words import _against, cautions, p_words, protocol, signed

CONDITIONS = Conditions(
    part="test",
    split="leave-one-out",
    fingerprint="0" * 12,
    questions=1000,
    users=900,
    targets=1000,
    items=50,
    candidates="full catalog",
    masking="left out",
    tied_times=None,
    repeats=0.0,
    ks=(5, 10),
    k=10,
    baselines=("sasrec",),
    oracle=None,
    bootstrap=1000,
    flips=20_000,
    seed=0,
    categories="none",
    versions={"itemlm": "1"},
)


def comparison(name: str, difference: float, p_holm: float, metric: str = "NDCG@10") -> Comparison:
    return Comparison(
        name=name,
        baseline="sasrec",
        metric=metric,
        difference=Estimate(mean=difference, low=difference - 0.01, high=difference + 0.01),
        p_value=p_holm / 4,
        p_holm=p_holm,
    )


def test_recommenders_are_grouped_by_what_the_test_allows_to_say() -> None:
    made = [
        comparison("a", +0.01, 0.2),
        comparison("b", +0.02, 0.0004),
        comparison("c", -0.03, 0.012),
        comparison("d", +0.05, 0.04),
        comparison("d", +0.09, 0.04, metric="Recall@10"),
    ]
    assert _against("sasrec", "NDCG@10", made) == [
        "Better than sasrec: d (+0.0500, p = 0.040), b (+0.0200, p < 0.001).",
        "Worse than sasrec: c (−0.0300, p = 0.012).",
        "Not told apart from sasrec by these questions: a (+0.0100, p = 0.200).",
    ]


@pytest.mark.parametrize(
    ("p_holm", "stars"), [(0.0009, "***"), (0.001, "**"), (0.01, "*"), (0.05, "n.s."), (1, "n.s.")]
)
def test_stars(p_holm: float, stars: str) -> None:
    assert comparison("a", 1, p_holm).stars == stars


def test_a_clean_test_has_nothing_to_caution_of() -> None:
    assert cautions(CONDITIONS, []) == []


def test_validation_figures_come_with_a_caution() -> None:
    (sentence,) = cautions(replace(CONDITIONS, part="validation"), [])
    assert "chosen on them" in sentence


def test_rare_ties_in_time_need_no_caution() -> None:
    assert cautions(replace(CONDITIONS, tied_times=0.005), []) == []
    assert "43.5%" in cautions(replace(CONDITIONS, tied_times=0.435), [])[0]


def test_the_protocol_defines_what_counts_as_a_tie() -> None:
    words = dict(protocol(CONDITIONS))
    assert "among its first 11 places" in words["Lists"]
    assert words["Tests"].startswith("paired randomization over users, 20,000 sign patterns")
    assert words["Answers that tie in time"] == "no timestamps, so unknown"


def test_numbers_in_words() -> None:
    assert (p_words(0.0009), p_words(0.0123)) == ("p < 0.001", "p = 0.012")
    assert (signed(0.1), signed(-0.1)) == ("+0.1000", "−0.1000")
