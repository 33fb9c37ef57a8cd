"""What the contenders of `beams` and `decoding` share: one T5's weights, and agreement on answers.

The weights are named as in transformers' T5; every token is one of one vocabulary: four special
ones (0 begins a sequence), then the codes of level after level.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch

SPECIAL = 4
CLOSE = 1e-4  # scores are sums of four float32 log-probabilities


def load(folder: str) -> dict[str, np.ndarray]:
    """Weights, codes_NL (as tokens) and histories_BT (as item rows)."""
    arrays = {}
    for name in ("weights", "items"):
        with np.load(Path(folder) / f"{name}.npz") as file:
            arrays |= {key: file[key] for key in file.files}
    return arrays


def children_by_prefix(codes_NL: np.ndarray) -> dict[tuple[int, ...], list[int]]:
    """The dict trie: which tokens may follow each prefix."""
    children: dict[tuple[int, ...], list[int]] = {}
    for level in range(codes_NL.shape[1]):
        for *prefix, code in np.unique(codes_NL[:, : level + 1], axis=0).tolist():
            children.setdefault(tuple(prefix), []).append(code)
    return children


@dataclass(frozen=True)
class Step:
    """One level of a search: beams and what the model says of the tokens after them."""

    prefix_BKl: np.ndarray
    score_BK: np.ndarray
    log_BKV: np.ndarray


def load_steps(folder: str) -> list[Step]:
    """Those of each level after the first."""
    with np.load(Path(folder) / "steps.npz") as file:
        names = ("prefix_BKl", "score_BK", "log_BKV")
        levels = range(1, 1 + len(file.files) // len(names))
        return [Step(*(file[f"{name}.{level}"] for name in names)) for level in levels]


def report_steps(
    asked: Mapping[str, Any],
    best: Callable[[], list[tuple[Any, Any]]],
    versions: tuple[str, ...],
) -> None:
    """Time `best`, which gives beam * V + token and score of the best continuations per level."""
    with torch.inference_mode():
        picks, scores = zip(*best(), strict=True)
        times = common.seconds(best, asked["repeats"])
    common.report(
        values={"ms/step": 1e3 * statistics.median(times) / len(picks)},
        quality=agree(asked["folder"], np.concatenate(picks), np.concatenate(scores)),
        versions=versions,
    )


def agree(folder: str, items_BK: np.ndarray, scores_BK: np.ndarray) -> dict[str, Any]:
    """Whether all contenders list the same items with the same scores; fails where they do not.

    The first one that comes leaves its answer in the folder, and the others compare.

    Returns:
        a digest of the lists (each sorted), and the mean score.
    """
    order_BK = np.argsort(items_BK, axis=1)
    items_BK = np.take_along_axis(items_BK, order_BK, axis=1)
    scores_BK = np.take_along_axis(scores_BK, order_BK, axis=1)
    path = Path(folder) / "answer.npz"
    if path.exists():
        with np.load(path) as first:
            differ = (first["items_BK"] != items_BK).any(axis=1).sum()
            if differ:
                raise SystemExit(f"{differ} of {len(items_BK)} lists differ from the first answer")
            worst = np.abs(first["scores_BK"] - scores_BK).max()
            if worst > CLOSE:
                raise SystemExit(f"scores differ by {worst:.1e} from the first answer")
    else:
        np.savez(path, items_BK=items_BK, scores_BK=scores_BK)
    digest = hashlib.sha256(np.ascontiguousarray(items_BK, dtype=np.int64).tobytes())
    return {"lists": digest.hexdigest()[:12], "mean score": round(float(scores_BK.mean()), 3)}
