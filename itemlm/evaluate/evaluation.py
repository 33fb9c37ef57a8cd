"""Evaluation: ask several recommenders the same questions, and say what the answers are worth.

    report = evaluate({"sasrec": model, "popularity": other}, split.test, catalog=data.catalog)
    report.to_html("report.html")

Fixed for everyone: the whole catalog competes, items of the history are left out, items (not codes)
are scored, and nothing is chosen on the questions asked here.

Shapes      Q questions, K places in a list, P pairs of question and target.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl

from itemlm import __version__
from itemlm.data.splits import HeldOut
from itemlm.evaluate.asking import Answers, ask, latency_ms
from itemlm.evaluate.beyond import Beyond, BeyondAccuracy, Categories, categories_of
from itemlm.evaluate.estimates import Resampling, Scores, mean_over_seeds
from itemlm.evaluate.metrics import Targets, per_question, places
from itemlm.evaluate.report import Report
from itemlm.evaluate.results import Comparison, Conditions, Cost, Estimate, Result, SliceResult
from itemlm.evaluate.results import Timing as Timing
from itemlm.evaluate.significance import clusters, holm
from itemlm.evaluate.slices import repeats, slices_of
from itemlm.types import ConfigError, DataError, IntArray, TopK, UnknownName

BASELINES = ("sasrec", "popularity")


def evaluate(
    recommenders: Mapping[str, TopK | Sequence[TopK]],
    held_out: HeldOut,
    *,
    catalog: pl.DataFrame | None = None,
    ks: Sequence[int] = (5, 10),
    baseline: str | None = None,
    oracle: str | None = None,
    costs: Mapping[str, Cost] | None = None,
    batch_size: int = 1024,
    seed: int = 0,
    bootstrap: int = 1000,
) -> Report:
    """Measure recommenders on held-out questions.

    Args:
        recommenders: by name; a sequence stands for one model fitted with several seeds.
        held_out: questions and answers, `split.test` or `split.validation`.
        catalog: one row per item in row order, for similarity and calibration of categories.
        ks: cut-offs. Slices, comparisons and figures beyond accuracy use 10, or else the largest.
        baseline: compare everyone with this one. Without a name: "sasrec" and "popularity", where
            they are among the recommenders.
        oracle: state figures as a share of this one's, as for a simulated world's own answers.
        costs: what each recommender cost to make.
        batch_size: questions asked at a time.
        seed: of resampling and of the questions for latency.
        bootstrap: samples behind each interval; the tests use ten times as many.

    Raises:
        UnknownName: if baseline, oracle or a cost names no recommender.
        ConfigError: if a setting cannot work.
        DataError: if the catalog does not fit or an answer is malformed.
    """
    fitted = _fitted(recommenders)
    items = len(held_out.train_counts_N)
    _check_names(fitted, baseline, oracle, costs or {})
    _check_numbers(ks, batch_size, bootstrap)
    if catalog is not None and catalog.height != items:
        raise DataError(
            f"the catalog has {catalog.height} rows, but the questions are about {items} items. "
            "Give the catalog of the dataset that was split."
        )
    baselines = (baseline,) if baseline else tuple(name for name in BASELINES if name in fitted)
    cutoffs = tuple(sorted(set(ks)))
    k = 10 if 10 in cutoffs else cutoffs[-1]
    headline = (f"NDCG@{k}", f"Recall@{k}")

    # 1. Ask everyone the same questions, one place deeper than counted to see ties at the edge.
    questions = replace(held_out.queries, exclude_seen=True)
    targets = Targets.of(held_out)
    asked = {
        name: _Asked(
            answers=tuple(
                ask(name, model, questions, cutoffs[-1] + 1, items, batch_size) for model in models
            ),
            latency_ms=latency_ms(models[0], questions, cutoffs[-1] + 1, items, seed),
        )
        for name, models in fitted.items()
    }
    place_P = {
        name: [places(answer.rows_QK, targets) for answer in a.answers]
        for name, a in asked.items()
    }

    def score(targets: Targets, ks: Sequence[int], keep_P: IntArray | slice) -> Scores[str]:
        return {
            name: [per_question(seed_P[keep_P], targets, ks) for seed_P in of_seeds]
            for name, of_seeds in place_P.items()
        }

    # 2. Score each question, and draw the users again to see how far the means may move.
    resampling = Resampling(clusters(held_out.queries.user_rows), bootstrap, seed)
    scores = score(targets, cutoffs, slice(None))
    values = {name: mean_over_seeds(of_seeds) for name, of_seeds in scores.items()}
    metrics = resampling.estimates(scores)

    # 3. The same for parts of the questions.
    sliced: dict[str, list[SliceResult]] = {name: [] for name in fitted}
    for part in slices_of(held_out, targets):
        kept, left_Q = targets.only(part.keep_P)
        of_part = resampling.estimates(
            _only(headline, score(kept, (k,), part.keep_P)), questions=left_Q
        )
        for name, estimates in of_part.items():
            sliced[name].append(
                SliceResult(
                    family=part.family,
                    name=part.name,
                    definition=part.definition,
                    questions=len(left_Q),
                    metrics=estimates,
                )
            )
    repeated_P = repeats(held_out, targets)
    new_only: dict[str, dict[str, Estimate]] = {}
    if repeated_P.any() and not repeated_P.all():
        kept, left_Q = targets.only(~repeated_P)
        new_only = resampling.estimates(score(kept, cutoffs, ~repeated_P), questions=left_Q)

    # 4. Look at the lists themselves.
    categories = categories_of(catalog) if catalog is not None else None
    lists = BeyondAccuracy(questions, held_out.train_counts_N, categories)

    # 5. Write it all down.
    results = tuple(
        Result(
            name=name,
            seeds=len(a.answers),
            metrics=metrics[name],
            by_seed={
                metric: tuple(float(seed_values[metric].mean()) for seed_values in scores[name])
                for metric in metrics[name]
            },
            new_only=new_only.get(name),
            slices=tuple(sliced[name]),
            beyond=_mean_beyond([lists.measure(answer.rows_QK[:, :k]) for answer in a.answers]),
            tied_lists=float(np.mean([answer.tied_Q.mean() for answer in a.answers])),
            short_lists=float(np.mean([(answer.rows_QK[:, k - 1] < 0).mean() for answer in a.answers])),
            timing=a.timing,
            cost=(costs or {}).get(name, Cost()),
            of_oracle=_of_oracle(metrics, name, oracle, headline),
            lists_fingerprint=tuple(_fingerprint(answer.rows_QK) for answer in a.answers),
            values=values[name],
            lists=tuple(answer.rows_QK for answer in a.answers),
        )
        for name, a in asked.items()
    )
    return Report(
        conditions=Conditions(
            part=held_out.part,
            split=held_out.protocol,
            fingerprint=held_out.fingerprint,
            questions=len(held_out),
            users=int(resampling.cluster_Q.max()) + 1,
            targets=len(targets.item_P),
            items=items,
            candidates="full catalog",
            masking="items of the history are left out, for every recommender",
            tied_times=held_out.tie_share,
            repeats=float(repeated_P.mean()),
            ks=cutoffs,
            k=k,
            baselines=baselines,
            oracle=oracle,
            bootstrap=bootstrap,
            flips=resampling.flips,
            seed=seed,
            categories=_category_words(catalog, categories),
            versions={
                "itemlm": __version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "polars": pl.__version__,
            },
        ),
        results=results,
        comparisons=_compare(values, baselines, oracle, headline, resampling),
    )
