"""What the contenders of the figure `training` share: a clock for steps, and lists to score.

A contender trains either a few timed steps (`settings["epochs"]` is 0) or that many whole epochs,
after which everyone's top-10 lists are compared with the held-out items.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import common
import numpy as np

BLOCK = 1024


def load(settings: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, item rows and targets of the users asked for: all, or the first few."""
    offsets, item_rows, targets_U = common.load_sequences(settings["data"])
    users = settings["users"] or len(targets_U)
    return offsets[: users + 1], item_rows[: offsets[users]], targets_U[:users]


class Clock:
    """Counts targets and time over the steps after a warm-up."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.warm_up = settings["warm_up"]
        self.steps = self.warm_up + settings["steps"]
        self.whole = settings["epochs"]
        self.count, self.targets, self.began, self.ended = 0, 0, time.perf_counter(), 0.0

    def step(self, targets: int) -> None:
        """At the end of each training step: how many real targets it had."""
        self.count += 1
        if self.whole or self.count > self.warm_up:
            self.targets += targets
        elif self.count == self.warm_up:
            self.began = time.perf_counter()
        self.ended = time.perf_counter()

    @property
    def is_done(self) -> bool:
        """Whether all timed steps are over; whole epochs never are."""
        return not self.whole and self.count >= self.steps

    def values(self) -> dict[str, float]:
        """What the race compares."""
        seconds = self.ended - self.began
        timed = self.count if self.whole else self.count - self.warm_up
        return {
            "targets/s": self.targets / seconds,
            "ms a step": 1000 * seconds / timed,
            "targets a step": self.targets / timed,
            "training seconds": seconds,
        }


def top10(
    scores_of: Callable[[int, int], np.ndarray], offsets: np.ndarray, item_rows: np.ndarray
) -> np.ndarray:
    """[U, 10] best items that are not in a user's window.

    Args:
        scores_of: [stop - start, N] scores of the users from start to stop.
        offsets: of the windows.
        item_rows: of the windows.
    """
    lists = []
    for start in range(0, len(offsets) - 1, BLOCK):
        stop = min(start + BLOCK, len(offsets) - 1)
        scores = np.array(scores_of(start, stop), dtype=np.float64)
        user = np.repeat(np.arange(stop - start), np.diff(offsets[start : stop + 1]))
        scores[user, item_rows[offsets[start] : offsets[stop]]] = -np.inf
        lists.append(np.argsort(-scores, axis=1)[:, :10])
    return np.concatenate(lists)


def padded(offsets: np.ndarray, item_rows: np.ndarray, length: int, padding: int) -> np.ndarray:
    """[U, length] the newest items of each window, padded on the left."""
    windows = np.full((len(offsets) - 1, length), padding)
    for user, (start, stop) in enumerate(pairwise(offsets)):
        newest = item_rows[max(start, stop - length) : stop]
        windows[user, length - len(newest) :] = newest
    return windows


def report(clock: Clock, lists_UK: np.ndarray | None, targets_U: np.ndarray, **more: Any) -> None:
    """The outcome of a contender; see `common.report`."""
    quality = {} if lists_UK is None else common.accuracy(lists_UK, targets_U)
    quality |= more.pop("quality", {})
    common.report(values=clock.values(), quality=quality, **more)
