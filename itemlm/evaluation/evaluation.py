"""Evaluation: ask several recommenders the same questions, and say what the answers are worth.

    report = evaluate({"sasrec": model, "popularity": other}, split.test, catalog=data.catalog)
    report.to_html("report.html")

Fixed for everyone: the whole catalog competes, items of the history are left out, items (not codes)
are scored, and nothing is chosen on the questions asked here.

Shapes      Q questions, K places in a list.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
import polars as pl

from itemlm import __version__
from itemlm.data.held_out import HeldOut
from itemlm.evaluation.accuracy import compare, measure_accuracy
from itemlm.evaluation.asking import Answers, ask, latency_ms
from itemlm.evaluation.beyond import Beyond, BeyondAccuracy, Categories, categories_of
from itemlm.evaluation.estimates import Resampling
from itemlm.evaluation.metrics import Targets, places
from itemlm.evaluation.report import Report
from itemlm.evaluation.results import Conditions, Cost, Estimate, Result, Timing
from itemlm.evaluation.significance import clusters
from itemlm.evaluation.slices import new_targets
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
        bootstrap: samples behind each interval; the tests use twenty times as many.

    Raises:
        UnknownName: if baseline, oracle or a cost names no recommender.
        ConfigError: if a setting cannot work.
        DataError: if the catalog does not fit or an answer is malformed.
    """
    fitted = _fitted(recommenders)
    items = len(held_out.train_counts_N)
    _check(fitted, baseline, oracle, costs or {}, catalog, items)
    _check_numbers(ks, batch_size, bootstrap)
    cutoffs = tuple(sorted(set(ks)))
    k = 10 if 10 in cutoffs else cutoffs[-1]
    baselines = (baseline,) if baseline else tuple(name for name in BASELINES if name in fitted)

    # 1. Ask everyone the same questions, one place deeper than counted to see ties at the edge.
    questions = replace(held_out.queries, exclude_seen=True)
    depth = cutoffs[-1] + 1
    latencies, answers = {}, {}
    for name, models in fitted.items():
        latencies[name] = tuple(  # warms it up
            latency_ms(models[0], questions, depth, items, seed, together) for together in (1, 64)
        )
        answers[name] = [ask(name, m, questions, depth, items, batch_size) for m in models]

    # 2. Find the targets in the lists; score questions; draw users again for intervals and tests.
    targets = Targets.of(held_out)
    found = {
        name: [places(answer.rows_QK, targets) for answer in of_seeds]
        for name, of_seeds in answers.items()
    }
    resampling = Resampling(clusters(held_out.queries.user_rows), bootstrap, seed)
    accuracy = measure_accuracy(found, targets, held_out, cutoffs, k, resampling)
    headline = (f"NDCG@{k}", f"Recall@{k}")
    contestants = {name: a.values for name, a in accuracy.items() if name != oracle}
    comparisons = compare(contestants, baselines, headline, resampling)

    # 3. Look at the lists themselves.
    categories = categories_of(catalog) if catalog is not None else None
    lists = BeyondAccuracy(questions, held_out.train_counts_N, categories)

    # 4. Write it all down.
    results = tuple(
        Result(
            name=name,
            seeds=len(of_seeds),
            metrics=accuracy[name].metrics,
            by_seed=accuracy[name].by_seed,
            new_only=accuracy[name].new_only,
            slices=accuracy[name].slices,
            beyond=_mean_beyond([lists.measure(answer.rows_QK[:, :k]) for answer in of_seeds]),
            tied_lists=float(np.mean([answer.tied_Q for answer in of_seeds])),
            short_lists=float(np.mean([answer.rows_QK[:, k - 1] < 0 for answer in of_seeds])),
            timing=_timing(of_seeds, latencies[name]),
            cost=(costs or {}).get(name, Cost()),
            of_oracle=None
            if oracle is None
            else _shares(accuracy[name].metrics, accuracy[oracle].metrics, headline),
            lists_fingerprint=tuple(_fingerprint(answer.rows_QK) for answer in of_seeds),
            values=accuracy[name].values,
            lists=tuple(answer.rows_QK for answer in of_seeds),
        )
        for name, of_seeds in answers.items()
    )
    conditions = Conditions(
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
        repeats=1 - float(new_targets(held_out, targets).mean()),
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
    )
    return Report(conditions=conditions, results=results, comparisons=comparisons)


def _fitted(recommenders: Mapping[str, TopK | Sequence[TopK]]) -> dict[str, list[TopK]]:
    """Every recommender as a list of its seeds."""
    fitted = {}
    for name, given in recommenders.items():
        models = [given] if hasattr(given, "topk") else list(given)
        if not models or not all(hasattr(model, "topk") for model in models):
            raise ConfigError(
                f"'{name}' is not a recommender: it needs a method topk(batch, k), or must be a "
                "list of objects that have one (one per seed)."
            )
        fitted[name] = cast(list[TopK], models)
    if not fitted:
        raise ConfigError("there are no recommenders to evaluate; give a mapping of names to them.")
    return fitted


def _check(
    fitted: Mapping[str, object],
    baseline: str | None,
    oracle: str | None,
    costs: Mapping[str, Cost],
    catalog: pl.DataFrame | None,
    items: int,
) -> None:
    for name in (baseline, oracle, *costs):
        if name is not None and name not in fitted:
            raise UnknownName("recommender", name, fitted)
    if baseline is not None and baseline == oracle:
        raise ConfigError(f"'{baseline}' cannot be both the baseline and the oracle.")
    if catalog is not None and catalog.height != items:
        raise DataError(
            f"the catalog has {catalog.height} rows, but the questions are about {items} items. "
            "Give the catalog of the dataset that was split."
        )


def _check_numbers(ks: Sequence[int], batch_size: int, bootstrap: int) -> None:
    if not ks or min(ks) < 1:
        raise ConfigError(f"ks is {tuple(ks)}, but it needs at least one cut-off of 1 or more.")
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}, but it must be at least 1.")
    if bootstrap < 100:
        raise ConfigError(f"bootstrap is {bootstrap}; a 95% interval needs at least 100 samples.")


def _timing(of_seeds: Sequence[Answers], latencies: Sequence[float]) -> Timing:
    seconds = float(np.mean([answer.seconds for answer in of_seeds]))
    return Timing(
        seconds=seconds,
        questions_per_second=len(of_seeds[0].tied_Q) / max(seconds, 1e-9),
        latency_ms=latencies[0],
        latency_64_ms=latencies[1],
    )


def _mean_beyond(of_seeds: Sequence[Beyond]) -> Beyond:
    def mean(name: str) -> Any:
        figures = [getattr(beyond, name) for beyond in of_seeds]
        return None if None in figures else float(np.mean(figures))

    return Beyond(**{entry.name: mean(entry.name) for entry in fields(Beyond)})


def _shares(
    metrics: Mapping[str, Estimate], oracle: Mapping[str, Estimate], names: Sequence[str]
) -> dict[str, float] | None:
    """Figures as a share of the oracle's; None where the oracle has 0."""
    if any(oracle[name].mean == 0 for name in names):
        return None
    return {name: metrics[name].mean / oracle[name].mean for name in names}


def _fingerprint(rows_QK: IntArray) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows_QK, dtype=np.int32).tobytes()).hexdigest()[:12]


def _category_words(catalog: pl.DataFrame | None, categories: Categories | None) -> str:
    if catalog is None:
        return "no catalog was given, so similarity and calibration are left out"
    if categories is None:
        return (
            "no column of the catalog holds categories, so similarity and calibration are left out"
        )
    values = categories.has_NC.shape[1]
    known = f"{values:,} values, known of {categories.share:.0%} of the items"
    return f"column '{categories.column}': {known}"
