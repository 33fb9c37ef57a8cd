"""What all contenders share. Peers' environments lack itemlm: standard library and NumPy only.

A contender is a script. It gets its settings as JSON, does one job, and prints one line of JSON:

    settings = common.settings()
    ...
    common.report(values={"targets/s": 12_345.6}, quality={"Recall@10": 0.1}, versions=("torch",))
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Z_95 = 1.96


def settings() -> dict[str, Any]:
    """What the harness asked for."""
    return dict(json.loads(sys.argv[1]))


def report(
    *,
    values: Mapping[str, float],
    quality: Mapping[str, float | str] | None = None,
    versions: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> None:
    """Print the outcome.

    Args:
        values: what was timed, by measure.
        quality: shows that the same thing was computed: metrics, errors, digests.
        versions: packages whose versions matter.
        notes: what a reader should know about this run.
    """
    outcome = {
        "values": {name: float(value) for name, value in values.items()},
        "quality": dict(quality or {}),
        "versions": {name: version(name) for name in versions},
        "notes": list(notes),
    }
    print("\n" + json.dumps(outcome), flush=True)


def seconds(job: Callable[[], Any], repeats: int = 1, warm_up: int = 0) -> list[float]:
    """Wall times of a job."""
    for _ in range(warm_up):
        job()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        job()
        times.append(time.perf_counter() - began)
    return times


def load_sequences(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train events and test targets as `harness.data` wrote them.

    Returns:
        offsets_U1 and item_rows (CSR; oldest first; the events before the target), targets_U.
        User u has the row u, items are 0 to N - 1.
    """
    path = Path(folder)
    names = ("offsets", "item_rows", "targets")
    offsets, item_rows, targets = (np.load(path / f"{name}.npy") for name in names)
    return offsets, item_rows, targets


def accuracy(lists_UK: np.ndarray, targets_U: np.ndarray, k: int = 10) -> dict[str, float]:
    """Recall@k and NDCG@k of lists with one target each, with 1.96 standard errors."""
    hit_UK = lists_UK[:, :k] == targets_U[:, None]
    recall_U = hit_UK.any(1).astype(float)
    ndcg_U = (hit_UK / np.log2(np.arange(hit_UK.shape[1]) + 2)).sum(1)
    figures = {}
    for name, value_U in ((f"Recall@{k}", recall_U), (f"NDCG@{k}", ndcg_U)):
        figures[name] = float(value_U.mean())
        figures[f"{name} +-"] = Z_95 * float(value_U.std() / np.sqrt(len(value_U)))
    return figures
