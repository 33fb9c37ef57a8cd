"""Words: the report's figures as sentences, for readers who are not statisticians.

Nothing is computed here; each sentence restates what the records hold, so that the terminal, the
page and a paper can say the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from itemlm.evaluation.results import Comparison, Conditions, Result


def ranked(results: Sequence[Result], conditions: Conditions) -> list[Result]:
    """The oracle first, then the others, best NDCG first."""
    return sorted(
        results,
        key=lambda result: (
            result.name != conditions.oracle,
            -result[f"NDCG@{conditions.k}"].mean,
        ),
    )


def findings(
    conditions: Conditions, results: Sequence[Result], comparisons: Sequence[Comparison]
) -> list[str]:
    """What the figures say, and what they do not."""
    metric = f"NDCG@{conditions.k}"
    contestants = [r for r in ranked(results, conditions) if r.name != conditions.oracle]
    if not contestants:
        return []
    best, figure = contestants[0], contestants[0][metric]
    highest = "the highest" if len(contestants) > 1 else "this"
    sentences = [
        f"{best.name} has {highest} {metric}: {figure.mean:.4f} "
        f"(95% interval {figure.low:.4f} to {figure.high:.4f})."
    ]
    if best.of_oracle is not None:
        sentences.append(
            f"That is {best.of_oracle[metric]:.0%} of {conditions.oracle}, the best that these "
            "questions allow."
        )
    if conditions.baselines:
        sentences += _against(conditions.baselines[0], metric, comparisons)
    return sentences


def _against(baseline: str, metric: str, comparisons: Sequence[Comparison]) -> list[str]:
    """One sentence each for who is better, worse and not told apart."""
    groups: dict[str, list[str]] = {"better": [], "worse": [], "unclear": []}
    made = [c for c in comparisons if (c.baseline, c.metric) == (baseline, metric)]
    for c in sorted(made, key=lambda c: -c.difference.mean):
        verdict = "better" if c.difference.mean > 0 else "worse"
        verdict = "unclear" if c.stars == "n.s." else verdict
        groups[verdict].append(f"{c.name} ({signed(c.difference.mean)}, {p_words(c.p_holm)})")
    sentences = []
    if groups["better"]:
        sentences.append(f"Better than {baseline}: {', '.join(groups['better'])}.")
    if groups["worse"]:
        sentences.append(f"Worse than {baseline}: {', '.join(groups['worse'])}.")
    if groups["unclear"]:
        sentences.append(
            f"Not told apart from {baseline} by these questions: {', '.join(groups['unclear'])}."
        )
    return sentences


def cautions(conditions: Conditions, results: Sequence[Result]) -> list[str]:
    """What a reader should know before trusting the figures."""
    sentences = []
    if not conditions.baselines:
        sentences.append(
            "Nothing was compared with a baseline; name one to see paired differences."
        )
    if conditions.part == "validation":
        sentences.append(
            "These are validation questions. Where settings or epochs were chosen on them, the "
            "figures flatter; report test questions."
        )
    if conditions.tied_times is not None and conditions.tied_times >= 0.01:
        sentences.append(
            f"For {conditions.tied_times:.1%} of the questions the answer has the same timestamp "
            "as the event before it, so which came last is not known."
        )
    if conditions.repeats > 0:
        sentences.append(
            f"{conditions.repeats:.1%} of the targets are already in the history. Since items of "
            "the history are left out, nobody can find them; see the figures for new targets only."
        )
    tied = [f"{r.name} ({r.tied_lists:.0%})" for r in results if r.tied_lists >= 0.05]
    if tied:
        sentences.append(
            "Equal scores, ordered by chance, stand side by side in many lists of: "
            f"{', '.join(tied)}."
        )
    short = [f"{r.name} ({r.short_lists:.1%})" for r in results if r.short_lists > 0]
    if short:
        sentences.append(
            f"Some lists have fewer than {conditions.k} items; the empty places count as misses: "
            f"{', '.join(short)}."
        )
    one_seed = [r.name for r in results if r.seeds == 1 and r.cost.epochs]
    if one_seed:
        sentences.append(
            f"One seed only: {', '.join(one_seed)}. Intervals tell how the figures move with other "
            "users, not with another run of training."
        )
    return sentences


def protocol(conditions: Conditions) -> list[tuple[str, str]]:
    """How the questions were asked, as pairs of a heading and a sentence."""
    c = conditions
    ties = "no timestamps, so unknown" if c.tied_times is None else f"{c.tied_times:.1%}"
    return [
        ("Questions", f"{c.questions:,} {c.part} questions of {c.users:,} users ({c.fingerprint})"),
        ("Split", c.split),
        ("Answers that tie in time", ties),
        ("Candidates", f"{c.candidates}, {c.items:,} items"),
        ("Masking", c.masking),
        ("Targets already in the history", f"{c.repeats:.1%} of {c.targets:,}"),
        (
            "Lists",
            "compared as items, in the order given; a list has ties if two neighbors among its "
            f"first {c.ks[-1] + 1} places have the same score",
        ),
        (
            "Intervals",
            f"95% percentile bootstrap over users, {c.bootstrap:,} samples, seed {c.seed}",
        ),
        (
            "Tests",
            f"paired randomization over users, {c.flips:,} sign patterns, two-sided; Holm's "
            "correction over all comparisons",
        ),
        (
            "Several seeds",
            "figures are means over seeds, question by question; ± seeds is their "
            "standard deviation",
        ),
        ("Categories", c.categories),
        ("Versions", ", ".join(f"{name} {version}" for name, version in c.versions.items())),
    ]


def p_words(p_value: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def signed(difference: float) -> str:
    """`+0.0123` or `−0.0123`, with a true minus sign."""
    return f"{difference:+.4f}".replace("-", "−")
