"""A quarter of an hour of everything at once: memory does not grow, and nothing fails.

python bench/serving/soak.py --minutes 15
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import figure, load, questions, server
from serving.figure import Figure, Options, Row

ITEMS = 100_000
MINUTES = 15.0
RATE = 60
EVERY = 10.0  # seconds between looks at the memory
WARM_UP = 0.2  # share of the time: 3 minutes of 15
MOST_GROWTH = 0.05
TEXT = """\
A SASRec service over 100,000 items is asked for slates of all kinds (with filters, explanations,
wishes in words, rules, by user), for similar items, search, ranking, users, pages and health, and
is told events and item updates, mixed at random at a steady rate. Memory is looked at every ten
seconds; growth is the median of the last fifth of the time against that of the fifth after the
warm-up, which is the first fifth."""


def measure(options: Options) -> Iterator[Row]:
    """One long load."""
    minutes = 0.2 if options.quick else options.minutes
    items, every = (2000, 0.5) if options.quick else (ITEMS, EVERY)
    folder, home = server.made_up("sasrec", items), server.CACHE / f"home-soak-{items}"
    figure.to_clients()
    with server.running([folder], home, cores=figure.cores()[0]) as running:
        result, memory = asyncio.run(
            watched(running, questions.Mixed(items), 60 * minutes, every, options.quick)
        )
    failed = result.failed + result.refused
    yield Row(
        f"{minutes:g} minutes of mixed requests at {RATE} requests/s",
        f"{failed} of {result.statuses.total():,} failed or were refused; {result.line()}",
        "0 failed",
        failed == 0,
        {"failed": failed, **result.values()},
    )
    fifth = max(1, int(WARM_UP * len(memory)))
    early, late = (statistics.median(some) for some in (memory[fifth : 2 * fifth], memory[-fifth:]))
    growth = late / early - 1
    yield Row(
        "growth of memory after the warm-up",
        f"{growth:+.1%}: {early:,.0f} MB to {late:,.0f} MB; {max(memory):,.0f} at most",
        f"< {MOST_GROWTH:.0%}",
        growth < MOST_GROWTH,
        {"growth": round(growth, 4), "MB": [round(megabytes) for megabytes in memory]},
    )


async def watched(
    running: server.Server, mixed: questions.Mixed, seconds: float, every: float, quick: bool
) -> tuple[load.Result, list[float]]:
    """What came back, and the memory in MB meanwhile."""
    loading = asyncio.create_task(
        load.run(running.port, mixed, seconds=seconds, connections=32, rate=RATE)
    )
    memory, started = [], time.monotonic()
    while not loading.done():
        await asyncio.wait([loading], timeout=every)
        memory.append(running.megabytes)
        if not quick and len(memory) % 6 == 0:
            passed = time.monotonic() - started
            print(f"  {passed / 60:.0f} minutes: {memory[-1]:,.0f} MB", flush=True)
    return await loading, memory


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=MINUTES)


FIGURE = Figure("soak", "A long mixed load", TEXT, measure, _options)

if __name__ == "__main__":
    FIGURE.main()
