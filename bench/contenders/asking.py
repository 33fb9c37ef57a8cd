"""What the contenders of the figure `single_user` share: whom they ask for, and how it is timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import common
import numpy as np

WARM_UP = 30


def askers(settings: Mapping[str, Any], users: int) -> list[int]:
    """The same users for everyone, first those to warm up with."""
    chosen = np.random.default_rng(0).permutation(users)[: WARM_UP + settings["calls"]]
    return [int(user) for user in chosen]


def report_calls(
    answer: Callable[[int], Sequence[int]],
    settings: Mapping[str, Any],
    sequences: tuple[np.ndarray, np.ndarray],
    versions: Iterable[str],
) -> None:
    """Ask for one user after the other; report the median and the 95th percentile.

    Args:
        answer: ten items for a user.
        settings: with `calls`.
        sequences: offsets and item rows of the histories, to check the answers.
        versions: packages whose versions matter.
    """
    offsets, item_rows = sequences
    times, proper = [], 0
    for user in askers(settings, len(offsets) - 1):
        began = time.perf_counter()
        items = answer(user)
        times.append(1000 * (time.perf_counter() - began))
        history = item_rows[offsets[user] : offsets[user + 1]]
        proper += len(set(items)) == 10 and not np.isin(items, history).any()
    timed = sorted(times[WARM_UP:])
    common.report(
        values={"ms": statistics.median(timed), "ms, 95%": timed[int(0.95 * len(timed))]},
        quality={"ten unseen items": proper / len(times)},
        versions=versions,
    )
