"""Five times as many requests as can be answered: some are refused, others answered in time.

python bench/serving/overload.py
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import figure, load, questions, server
from serving.figure import Figure, Options, Row

ITEMS = 100_000
TIMES = 5
SECONDS = 60.0
CONNECTIONS = 600
LIGHT = 100  # requests/s of normal times
WINDOW = 0.25  # seconds in which latency is called normal again or not
BACK_WITHIN = 2.0
# The rate limit per caller would hide what the service does when all callers together are too many.
SETTINGS = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n"
TEXT = """\
SASRec over 100,000 items. How many requests are answered per second at most is measured with 64
connections; then five times as many are offered for a minute by one process per core that the
service does not use. Latency is that of accepted requests since they were sent; since they were due
it also counts what the asking processes could not send in time, so the rate that was really offered
stands beside it. Latency is back to normal when a second begins in whose every quarter the median
is no more than the 95th percentile of normal times, and nobody is refused."""


def measure(options: Options) -> Iterator[Row]:
    """Normal times, too much, and normal times again."""
    items, seconds, calm = (2000, 2.0, 2.0) if options.quick else (ITEMS, SECONDS, 10.0)
    folder, home = server.made_up("sasrec", items), server.CACHE / f"home-overload-{items}"
    make = load.Cycle(questions.histories(items))
    mine, theirs = figure.cores()
    figure.to_clients()
    with server.running([folder], home, cores=mine, settings=SETTINGS) as running:

        def ask(seconds: float, connections: int, rate: float | None = None) -> load.Result:
            coroutine = load.run(
                running.port, make, seconds=seconds, connections=connections, rate=rate
            )
            return asyncio.run(coroutine)

        ask(min(3.0, calm), 64)
        capacity = ask(calm, 64)
        normal = ask(calm, 32, LIGHT)
        before = running.megabytes
        offered = TIMES * capacity.rate
        with ThreadPoolExecutor(1) as aside:
            flood = aside.submit(
                load.by_processes,
                running.port,
                make,
                seconds=seconds,
                connections=CONNECTIONS,
                rate=offered,
                cores=theirs,
            )
            memory = [before]
            while not flood.done():
                memory.append(running.megabytes)
                asyncio.run(asyncio.sleep(0.5))
            result = flood.result()
        afterwards = ask(max(2 * BACK_WITHIN, calm), 32, LIGHT)
        after = running.megabytes
    yield Row("capacity", capacity.line(), values=capacity.values())
    yield from _flood(result, offered)
    yield Row(
        "memory",
        f"{before:,.0f} MB before, {max(memory):,.0f} at most, {after:,.0f} afterwards",
        values={"before MB": before, "most MB": max(memory), "after MB": after},
    )
    back = seconds_until_normal(afterwards, normal.milliseconds(95)[0] / 1000)
    yield Row(
        "normal again",
        f"{back:.2f} s after the end; p50 {normal.milliseconds(50)[0]:.1f} ms before, "
        f"{afterwards.milliseconds(50)[0]:.1f} ms afterwards",
        f"within {BACK_WITHIN:g} s",
        back <= BACK_WITHIN,
        {"seconds": back, "before": normal.values(), "after": afterwards.values()},
    )


def _flood(result: load.Result, offered: float) -> Iterator[Row]:
    total = result.statuses.total()
    sent = load.percentiles_of(result.sent_seconds, (50, 95, 99))
    refused = load.percentiles_of(result.refused_seconds, (50, 99))
    others = {s: count for s, count in result.statuses.items() if s not in ("200", "429")}
    yield Row(
        f"{TIMES} times the capacity",
        f"{offered:,.0f} requests/s wanted, {total / result.lasted:,.0f} sent; {result.rate:,.0f} "
        f"answered; accepted p50 {sent[0]:.0f}, p95 {sent[1]:.0f}, p99 {sent[2]:.0f} ms; refused "
        f"p50 {refused[0]:.0f}, p99 {refused[1]:.0f} ms",
        values={
            "wanted per second": round(offered),
            "sent per second": round(total / result.lasted),
            "accepted since sent ms": [round(value, 1) for value in sent],
            "refused since sent ms": [round(value, 1) for value in refused],
            "since due": result.values(),
        },
    )
    yield Row(
        "answers under overload",
        f"{result.refused / total:.1%} refused with 429, {result.without_retry_after} of them "
        f"without Retry-After; others than 200 and 429: {others or 'none'}",
        "429 with Retry-After, no other",
        not others and not result.without_retry_after,
        {"share refused": result.refused / total, "without": result.without_retry_after, **others},
    )


def seconds_until_normal(result: load.Result, normal: float) -> float:
    """Until a second begins in whose every window nobody is refused and the median is normal.

    Infinity if there is no such second.
    """
    due, taken = (np.array([moment[part] for moment in result.moments]) for part in (0, 1))
    accepted = np.array([moment[2] for moment in result.moments])
    in_a_row, start = 0, 0.0
    while start + WINDOW <= due.max() + WINDOW / 2:
        within = (due >= start) & (due < start + WINDOW)
        is_normal = accepted[within].all() and np.median(taken[within]) <= normal
        in_a_row = in_a_row + 1 if is_normal else 0
        start += WINDOW
        if in_a_row * WINDOW >= 1:
            return start - 1
    return float("inf")


FIGURE = Figure("overload", "Overload", TEXT, measure)

if __name__ == "__main__":
    FIGURE.main()
