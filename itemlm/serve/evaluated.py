"""The report that models came with: `itemlm compare` leaves it beside the runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from itemlm.serve.schemas import Evaluation, Measured
from itemlm.types import ArtifactError

REPORT = "report.json"
METRICS = ("NDCG@10", "Recall@10", "MRR@10")


def report_beside(models: Iterable[Path]) -> Path | None:
    """The report of the comparison that fitted a model: `X/report.json` of `X/runs/NAME`."""
    for model in models:
        path = model.resolve()
        path = path.parent if path.name == "model" else path
        if path.parent.name == "runs" and (path.parent.parent / REPORT).is_file():
            return path.parent.parent / REPORT
    return None


def read_report(path: Path) -> Evaluation:
    """The figures of a report.

    Raises:
        ArtifactError: if it is none.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return Evaluation(
            protocol=report["protocol"],
            findings=report["findings"],
            cautions=report["cautions"],
            figures={metric: rows for metric in METRICS if (rows := _rows(report, metric))},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} is no report of `itemlm compare`, or is damaged ({error!r})."
        ) from error


def _rows(report: dict[str, Any], metric: str) -> list[Measured]:
    rows = [
        Measured(
            model=result["name"],
            **{name: result["metrics"][metric][name] for name in ("mean", "low", "high")},
        )
        for result in report["results"]
        if metric in result["metrics"]
    ]
    return sorted(rows, key=lambda row: -row.mean)
