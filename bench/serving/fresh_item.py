"""From the arrival of an item to its first recommendation.

python bench/serving/fresh_item.py
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import figure, load, questions, server
from serving.figure import Figure, Options, Row

ITEMS = 100_000
TIMES = 50
RATE = 100
AIM_SECONDS = 1.0
PATIENCE = 30.0
TEXT = """\
A new item with a brand of its own is sent to a SASRec service over 100,000 items, and from that
moment a recommendation filtered by this brand is asked for again and again until it shows the item:
the time from sending the item to reading the first answer with it in it. Beside it stand the time
after which the service said that it has the item, and in how many unfiltered slates of 100 the item
appears for a history of the item whose title it has."""


def measure(options: Options) -> Iterator[Row]:
    """Alone, and while others ask."""
    items, times = (2000, 4) if options.quick else (ITEMS, TIMES)
    folder, home = server.made_up("sasrec", items), server.CACHE / f"home-fresh-{items}"
    figure.to_clients()
    for rate in (0, RATE):
        with server.running([folder], home, cores=figure.cores()[0]) as running:
            yield from asyncio.run(arrivals(running, items, times, rate))


async def arrivals(running: server.Server, items: int, times: int, rate: int) -> list[Row]:
    """Items that arrive one after another, under a load of other requests."""
    done, titles = False, server.catalog(items)["title"]
    make = load.Cycle(questions.histories(items))
    others = None
    if rate:
        others = asyncio.create_task(
            load.run(
                running.port,
                make,
                seconds=600,
                connections=32,
                rate=rate,
                until=lambda: done,
            )
        )
    connection, rng = await load.Connection.open(running.port), random.Random(0)
    seen, stored, unfiltered = [], [], 0
    for number in range(times):
        like = rng.randrange(items)
        took, answered = await arrive(connection, f"fresh-{rate}-{number}", titles[like])
        seen.append(took)
        stored.append(answered)
        asked = {"history": [f"item-{like}"], "k": 100}
        reply = await connection.ask(*questions.post("/v1/recommend", asked))
        unfiltered += f'"fresh-{rate}-{number}"'.encode() in reply.body
        await asyncio.sleep(0.1)
    done = True
    connection.close()
    what = f"a new item, {rate} other requests/s" if rate else "a new item, nobody else asks"
    rows = [
        Row(
            what,
            f"recommended after {statistics.median(seen):.3f} s (median), {max(seen):.3f} s (most "
            f"of {times}); stored after {statistics.median(stored):.3f} s; in {unfiltered} of "
            f"{times} unfiltered slates of 100",
            f"<= {AIM_SECONDS:g} s",
            max(seen) <= AIM_SECONDS,
            {
                "median s": round(statistics.median(seen), 4),
                "most s": round(max(seen), 4),
                "stored median s": round(statistics.median(stored), 4),
                "in unfiltered slates": unfiltered,
            },
        )
    ]
    if others is not None:
        result = await others
        rows.append(Row("the other requests meanwhile", result.line(), values=result.values()))
    return rows


async def arrive(connection: load.Connection, item_id: str, words: str) -> tuple[float, float]:
    """Seconds until an item is recommended, and until the service said that it has it."""
    item = {"item_id": item_id, "title": words, "brand": item_id, "price": 9.5}
    asked = questions.post(
        "/v1/recommend", {"history": ["item-1"], "filter": f"brand == '{item_id}'", "k": 1}
    )
    started = time.perf_counter()
    reply = await connection.ask(*questions.post("/v1/items", {"items": [item]}))
    stored = time.perf_counter() - started
    if reply.status != 200:
        raise RuntimeError(f"the item was not taken: {reply.body[:300]!r}")
    while time.perf_counter() - started < PATIENCE:
        reply = await connection.ask(*asked)
        if f'"{item_id}"'.encode() in reply.body:
            return time.perf_counter() - started, stored
    raise RuntimeError(f"{item_id} was not recommended within {PATIENCE:g} seconds")


FIGURE = Figure("fresh_item", "A new item", TEXT, measure)

if __name__ == "__main__":
    FIGURE.main()
