"""What the contenders of the figure `classic` share: fit, recommend to everyone, report both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import common
import numpy as np


def report_twice(
    fit: Callable[[], Any],
    recommend: Callable[[Any], Any],
    targets_U: np.ndarray,
    *,
    versions: Iterable[str],
    lists: Callable[[Any], np.ndarray] = np.asarray,
) -> None:
    """Do everything twice, the first time to warm up, and report the second.

    Args:
        fit: makes a model.
        recommend: what the model gives to all users.
        targets_U: the item that each user took next.
        versions: packages whose versions matter.
        lists: item rows [U, 10] from what the model gave; not timed.
    """
    for _ in range(2):
        began = time.perf_counter()
        model = fit()
        fitted = time.perf_counter()
        answers = recommend(model)
        ended = time.perf_counter()
    common.report(
        values={
            "seconds": ended - began,
            "seconds to fit": fitted - began,
            "seconds to recommend": ended - fitted,
        },
        quality=common.accuracy(lists(answers), targets_U),
        versions=versions,
    )
