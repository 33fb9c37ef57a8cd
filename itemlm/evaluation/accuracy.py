"""Accuracy: from the places of the targets to every figure that depends on them.

One recommender may have been fitted with several seeds. Its value for a question is then the mean
over seeds, so that a lucky seed is not compared with an unlucky one.

Shapes      Q questions, P pairs of question and target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from itemlm.data.held_out import HeldOut
from itemlm.evaluation.estimates import Resampling, mean_over_seeds
from itemlm.evaluation.metrics import Targets, per_question
from itemlm.evaluation.results import Comparison, Estimate, SliceResult
from itemlm.evaluation.significance import holm
from itemlm.evaluation.slices import new_targets, slices_of
from itemlm.types import BoolArray, FloatArray, IntArray

Places = Mapping[str, Sequence[IntArray]]  # recommender -> [P] places of each seed


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Figures of one recommender; the fields are those of `Result`."""

    metrics: Mapping[str, Estimate]
    by_seed: Mapping[str, tuple[float, ...]]
    values: Mapping[str, FloatArray]
    slices: tuple[SliceResult, ...]
    new_only: Mapping[str, Estimate] | None


def measure_accuracy(
    places: Places,
    targets: Targets,
    held_out: HeldOut,
    ks: Sequence[int],
    k: int,
    resampling: Resampling,
) -> dict[str, Accuracy]:
    """Every recommender's metrics at `ks`, and Recall and NDCG at `k` on slices."""
    scores = {
        name: [per_question(place_P, targets, ks) for place_P in of_seeds]
        for name, of_seeds in places.items()
    }
    metrics = resampling.estimates(scores)
    slices: dict[str, list[SliceResult]] = {name: [] for name in places}
    for part in slices_of(held_out, targets):
        estimates, questions = _on_part(part.keep_P, places, targets, (k,), resampling)
        for name in places:
            slices[name].append(
                SliceResult(
                    family=part.family,
                    name=part.name,
                    definition=part.definition,
                    questions=questions,
                    metrics={
                        f"{metric}@{k}": estimates[name][f"{metric}@{k}"]
                        for metric in ("Recall", "NDCG")
                    },
                )
            )
    new_P = new_targets(held_out, targets)
    new_only: dict[str, dict[str, Estimate]] = {}
    if new_P.any() and not new_P.all():
        new_only, _ = _on_part(new_P, places, targets, ks, resampling)
    return {
        name: Accuracy(
            metrics=metrics[name],
            by_seed={
                metric: tuple(float(values[metric].mean()) for values in scores[name])
                for metric in metrics[name]
            },
            values=mean_over_seeds(scores[name]),
            slices=tuple(slices[name]),
            new_only=new_only.get(name),
        )
        for name in places
    }


def _on_part(
    keep_P: BoolArray,
    places: Places,
    targets: Targets,
    ks: Sequence[int],
    resampling: Resampling,
) -> tuple[dict[str, dict[str, Estimate]], int]:
    """Estimates for some of the targets, and how many questions still have one."""
    kept, questions = targets.only(keep_P)
    scores = {
        name: [per_question(place_P[keep_P], kept, ks) for place_P in of_seeds]
        for name, of_seeds in places.items()
    }
    return resampling.estimates(scores, questions), len(questions)


def compare(
    values: Mapping[str, Mapping[str, FloatArray]],
    baselines: Sequence[str],
    metrics: Sequence[str],
    resampling: Resampling,
) -> tuple[Comparison, ...]:
    """Everyone in `values` minus each baseline, each pair once, p-values corrected together."""
    pairs: list[tuple[str, str]] = []
    for baseline in baselines:
        pairs += [
            (name, baseline)
            for name in values
            if name != baseline and (baseline, name) not in pairs
        ]
    if not pairs:
        return ()
    differences = {
        (name, baseline): [{m: values[name][m] - values[baseline][m] for m in metrics}]
        for name, baseline in pairs
    }
    estimates = resampling.estimates(differences)
    tests = [(pair, metric) for pair in pairs for metric in metrics]
    p_values = resampling.p_values([differences[pair][0][metric] for pair, metric in tests])
    return tuple(
        Comparison(
            name=pair[0],
            baseline=pair[1],
            metric=metric,
            difference=estimates[pair][metric],
            p_value=float(p_value),
            p_holm=float(p_holm),
        )
        for (pair, metric), p_value, p_holm in zip(tests, p_values, holm(p_values), strict=True)
    )
