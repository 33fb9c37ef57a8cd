"""Requests per second and their latency, beside the bare model.

python bench/serving/throughput.py

The service is confined to half of the cores and those who ask it to the others. It runs under a
stopwatch (timed.py), so that the batch sizes that occurred and the seconds within the model are
known for every load.

Two readings of what surrounds a generative model, both while as many requests wait as can, so that
the service is never idle:

    within    1 - seconds inside `live.topk` / seconds of the load: all that is not the model, be it
              the batcher's thread (histories, rules, answers) or HTTP. What HTTP does in another
              thread while the model computes costs nothing here unless the model waits for it, and
              waiting inside topk (for the interpreter's lock) looks like the model's work.
    beside    1 - seconds that the same batches take `topk` in a process of its own / seconds of the
              load: waiting inside topk counts as surroundings too. This one decides.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import bare, figure, load, questions, server, timed
from serving.figure import Figure, Options, Row

ITEMS = 100_000
NAMES = {"sasrec": "SASRec", "tiger": "TIGER (beam 20)"}
STEADY = 300
LATEST_MS = 50
MOST_OUTSIDE = 0.10
SIZES = (1, 2, 4, 8, 16, 32, 64)  # of batches, measured alone
SETTINGS = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n"
TEXT = """\
Untrained models of the default sizes over 100,000 items; histories of up to 20 items, slates of 10.
A steady rate counts from the moment at which a request was due. 'Times the product' is the time per
request as fast as answers come, against nothing but the product of [B, 64] and [64, 100,000] for
the batches that occurred, on the same cores and threads; 'times the topk' is the same against the
model alone. 'Outside the model' is the share of the time, at 32 connections, that the same batches
do not take in the model alone."""


@dataclass
class Watched:
    """A running service under the stopwatch."""

    running: server.Server
    totals: np.ndarray
    make: load.Cycle

    def load(
        self, seconds: float, connections: int, rate: float | None = None
    ) -> tuple[load.Result, np.ndarray]:
        """What came back, and what the stopwatch counted meanwhile."""
        before = self.totals.copy()
        coroutine = load.run(
            self.running.port, self.make, seconds=seconds, connections=connections, rate=rate
        )
        result = asyncio.run(coroutine)
        return result, self.totals - before


def measure(options: Options) -> Iterator[Row]:
    """Both models."""
    figure.to_clients()
    for paper in NAMES:
        yield from of(paper, options.quick)


def of(paper: str, quick: bool) -> Iterator[Row]:
    """One model."""
    items, seconds = (2000, 1.0) if quick else (ITEMS, 15.0)
    name, cores = NAMES[paper], figure.cores()[0]
    folder = server.made_up(paper, items)
    home = server.CACHE / f"home-throughput-{paper}-{items}"
    home.mkdir(parents=True, exist_ok=True)
    totals = timed.totals(home / "totals")
    program = (timed.__file__, str(home / "totals"))
    many = []
    with server.running([folder], home, cores=cores, settings=SETTINGS, program=program) as running:
        watched = Watched(running, totals, load.Cycle(questions.histories(items)))
        watched.load(min(3.0, seconds), 16)
        steady, _ = watched.load(seconds, 64, STEADY)
        yield _steady(f"{name} at {STEADY} requests/s", steady)
        yield from highest(name, watched, steady, seconds / 2, 2 if quick else 5)
        for connections in (1, 8, 32, 128):
            many.append((connections, *watched.load(seconds, connections)))
        memory = running.megabytes
    alone = bare.measure(folder, SIZES, cores, max(1, len(cores) - 1), 0.05 if quick else 1.0)
    for connections, result, counted in many:
        against = "product" if paper == "sasrec" else "topk"
        yield full(f"{name}, {connections} connections", result, counted, against, alone[against])
    if paper == "tiger":
        yield outside(name, *many[-2][1:], alone)
    yield Row(f"{name}, memory", f"{memory:,.0f} MB", values={"MB": round(memory)})


def _steady(what: str, result: load.Result) -> Row:
    met = result.milliseconds(99)[0] <= LATEST_MS and not result.failed and not result.refused
    aim = f"p99 <= {LATEST_MS} ms, none refused or failed"
    return Row(what, result.line(), aim, met, result.values())


def highest(
    name: str, watched: Watched, steady: load.Result, seconds: float, halvings: int
) -> Iterator[Row]:
    """The highest steady rate with a p99 in time: doubled until it fails, then halved between."""

    def holds(result: load.Result) -> bool:
        return bool(_steady("", result).met)

    good, bad, best = 0.0, 0.0, None
    rate, result = float(STEADY), steady
    while not (good and bad):
        if holds(result):
            good, best = rate, result
        else:
            bad = rate
        if rate < 2 or rate > 20_000:
            break
        rate = rate * 2 if not bad else rate / 2
        if not (good and bad):
            result, _ = watched.load(seconds, 128, rate)
    for _ in range(halvings):
        if not (good and bad) or bad / good < 1.05:
            break
        rate = (good + bad) / 2
        result, _ = watched.load(seconds, 128, rate)
        if holds(result):
            good, best = rate, result
        else:
            bad = rate
    line = best.line() if best is not None else "none was found"
    what = f"{name}, highest steady rate with p99 <= {LATEST_MS} ms"
    values = {} if best is None else best.values()
    yield Row(what, f"{good:,.0f} requests/s: {line}", values={"rate": good, **values})


def full(
    what: str,
    result: load.Result,
    counted: np.ndarray,
    against: str,
    alone: Mapping[int, float],
) -> Row:
    """As fast as answers come."""
    batches = counted[timed.SIZES :]
    ratio = result.lasted / seconds_for(batches, alone)
    mean = float(batches @ np.arange(len(batches)) / batches.sum())
    values = {"batch": round(mean, 2), f"times the {against}": round(ratio, 2), **result.values()}
    measured = f"{result.line()}; batches of {mean:.1f}; {ratio:.2f} times the {against}"
    return Row(what, measured, values=values)


def seconds_for(batches: np.ndarray, alone: Mapping[int, float]) -> float:
    """What so many batches of each size take; sizes in between are interpolated."""
    sizes = np.arange(len(batches))
    each = np.interp(sizes, list(alone), list(alone.values()))
    return float(batches @ each)


def outside(
    name: str, result: load.Result, counted: np.ndarray, alone: Mapping[str, Mapping[int, float]]
) -> Row:
    """The share of the time that is not the model's."""
    within = 1 - counted[timed.TOPK] / result.lasted
    thread = 1 - counted[timed.TOPK] / counted[timed.ANSWER]
    beside = 1 - seconds_for(counted[timed.SIZES :], alone["topk"]) / result.lasted
    measured = (
        f"{beside:.1%} beside the same batches alone; {within:.1%} by the stopwatch within, of "
        f"which {thread:.1%} in the batcher's thread"
    )
    values = {"beside": beside, "within": within, "batcher's thread": thread}
    rounded = {key: round(float(value), 4) for key, value in values.items()}
    aim = f"<= {MOST_OUTSIDE:.0%}"
    return Row(f"{name}, outside the model", measured, aim, beside <= MOST_OUTSIDE, rounded)


FIGURE = Figure("throughput", "Throughput and latency", TEXT, measure)

if __name__ == "__main__":
    FIGURE.main()
