"""Models are swapped under load, and nobody notices.

python bench/serving/swap.py
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import figure, load, questions, server
from serving.figure import Figure, Options, Row

ITEMS = 100_000
RATE = 150
SWAPS = 20
TEXT = """\
Two SASRec models over 100,000 items take each other's place, by activation and by rollback in
turns, while others ask at a steady rate. The first swap loads the second model; later both are in
memory. A refusal counts as a failure here."""


def measure(options: Options) -> Iterator[Row]:
    """All swaps under one load."""
    items, swaps, rate = (2000, 4, 50) if options.quick else (ITEMS, SWAPS, RATE)
    folders = [server.made_up("sasrec", items, seed) for seed in (0, 1)]
    home = server.CACHE / f"home-swap-{items}"
    figure.to_clients()
    with server.running(folders, home, cores=figure.cores()[0]) as running:
        result, taken, answered = asyncio.run(
            under_load(running, [folder.name for folder in folders], items, swaps, rate)
        )
    failed = result.failed + result.refused
    yield Row(
        f"{swaps} swaps at {rate} requests/s",
        f"{failed} of {result.statuses.total():,} requests failed or were refused; "
        + result.line(),
        "0 failed",
        failed == 0,
        {"failed": failed, "swaps": swaps, **result.values()},
    )
    later = sorted(taken[1:])
    yield Row(
        "time of a swap",
        f"{taken[0]:.2f} s for the first, which loads a model; later at most "
        f"{1000 * later[-1]:.0f} ms",
        values={"first s": round(taken[0], 3), "most ms": round(1000 * later[-1], 1)},
    )
    yield Row(
        "the model that answers after each swap",
        f"the right one after {answered} of {swaps}",
        f"{swaps} of {swaps}",
        answered == swaps,
        {"right": answered},
    )


async def under_load(
    running: server.Server, names: list[str], items: int, swaps: int, rate: float
) -> tuple[load.Result, list[float], int]:
    """What others got meanwhile, the seconds of each swap, and after how many the right answered.

    The load goes on for as long as swaps do, and a second more.
    """
    done = False
    loading = asyncio.create_task(
        load.run(
            running.port,
            load.Cycle(questions.histories(items)),
            seconds=600,
            connections=64,
            rate=rate,
            until=lambda: done,
        )
    )
    rng, taken, right = random.Random(0), [], 0
    for number in range(swaps):
        await asyncio.sleep(0.5 + rng.random() / 2)
        wanted = names[(number + 1) % 2]
        path = "/v1/models/rollback" if number % 2 else f"/v1/models/{wanted}/activate"
        started = time.perf_counter()
        await asyncio.to_thread(running.post, path, {})
        taken.append(time.perf_counter() - started)
        answer = await asyncio.to_thread(
            running.post, "/v1/recommend", {"history": ["item-1"], "k": 1}
        )
        right += answer["model"] == wanted
    await asyncio.sleep(1)
    done = True
    return await loading, taken, right


FIGURE = Figure("swap", "Swapping models", TEXT, measure)

if __name__ == "__main__":
    FIGURE.main()
