"""`itemlm serve` with a stopwatch: how long the model's own work takes inside a running service.

python bench/serving/timed.py FILE serve MODEL --port 8000

Two functions are wrapped: `Live.topk`, the model, and `answering.answer`, all that the batcher's
thread does with a batch: histories, the model, rules, fallbacks. Their seconds are added up in
FILE, an array that another process maps and reads while the service runs, together with how often
each batch size occurred. A wrapper costs about a microsecond per batch.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

TOPK, ANSWER, SIZES = 0, 1, 2  # places in the array: seconds, seconds, and batches of size 0, 1...
LENGTH = SIZES + 1025


def totals(file: Path) -> np.memmap[Any, np.dtype[np.float64]]:
    """The array behind a file, which is made if it does not exist."""
    if not file.exists():
        np.zeros(LENGTH).tofile(file)
    return np.memmap(file, dtype=np.float64, mode="r+", shape=(LENGTH,))


def watch(file: Path) -> None:
    """Wrap both functions of this process; before the service is made."""
    from itemlm.retrieve.live import Live
    from itemlm.serve import answering

    kept = totals(file)
    topk, answer = Live.topk, answering.answer

    def timed_topk(live: Live, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return topk(live, *args, **kwargs)
        finally:
            kept[TOPK] += time.perf_counter() - started

    def timed_answer(questions: Any, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return answer(questions, *args, **kwargs)
        finally:
            kept[ANSWER] += time.perf_counter() - started
            kept[SIZES + len(questions)] += 1

    Live.topk = timed_topk  # type: ignore[method-assign, assignment]
    answering.answer = timed_answer


if __name__ == "__main__":
    watch(Path(sys.argv.pop(1)))
    from itemlm.cli import main

    main()
