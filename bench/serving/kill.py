"""The service is killed while events come in, and none that it acknowledged is lost.

python bench/serving/kill.py
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import figure, load, questions, server
from serving.figure import Figure, Options, Row

ITEMS, MANY_ITEMS = 10_000, 100_000
KILLS, RESTARTS = 20, 3
CONNECTIONS = 8
RESTART_SECONDS = 5.0
TEXT = """\
Eight connections send events, one or ten at a time, as fast as they are acknowledged, until SIGKILL
ends the service at a random moment of the next two seconds. Then it is started again with the same
database, and all events of that round are asked for. An event whose answer never came may be there
or not, but when it is sent again it must count once. SIGKILL shows what a crash of the process
leaves; a power cut would need another machine."""


@dataclass
class Told:
    """Events of a round, by id: those that were acknowledged, and those without an answer."""

    acknowledged: set[str] = field(default_factory=set)
    unanswered: list[list[dict[str, object]]] = field(default_factory=list)
    refused: int = 0


def measure(options: Options) -> Iterator[Row]:
    """All rounds, then starts of a service with more items."""
    kills, many, restarts = (2, 2000, 1) if options.quick else (KILLS, MANY_ITEMS, RESTARTS)
    items = 2000 if options.quick else ITEMS
    cores = figure.cores()[0]
    figure.to_clients()
    rng = random.Random(0)
    told, lost, twice, taken = Counter[str](), 0, 0, []
    folder, home = server.made_up("sasrec", items), server.CACHE / "home-kill"
    running = server.start([folder], home, cores=cores)
    try:
        for number in range(kills):
            moment = rng.uniform(0.1, 2.0)
            round_ = asyncio.run(until_killed(running, f"round-{number}", items, moment))
            started = time.perf_counter()
            running = server.start([folder], home, cores=cores, fresh=False)
            taken.append(time.perf_counter() - started)
            for events in round_.unanswered:
                running.post("/v1/events", {"events": events})
            found = kept(running, f"round-{number}")
            again = {str(event["event_id"]) for sent in round_.unanswered for event in sent}
            lost += len((round_.acknowledged | again) - set(found))
            twice += sum(count - 1 for count in found.values())
            told["acknowledged"] += len(round_.acknowledged)
            told["sent again"] += len(again)
            told["refused"] += round_.refused
    finally:
        running.kill()
    yield Row(
        f"{kills} kills while events come in",
        f"{lost} of {told['acknowledged']:,} acknowledged events lost, {twice} counted twice "
        f"({told['sent again']} were sent again)",
        "0 lost",
        lost == 0 and twice == 0,
        {"lost": lost, "twice": twice, **told},
    )
    yield _starts(f"restart with {items:,} items", taken)
    folder, home = server.made_up("sasrec", many), server.CACHE / f"home-kill-{many}"
    server.start([folder], home, cores=cores).kill()  # makes what is kept between starts
    yield _starts(f"restart with {many:,} items", list(restart(folder, home, cores, restarts)))


def restart(folder: Path, home: Path, cores: list[int], times: int) -> Iterator[float]:
    """Seconds until a service that was killed is ready again."""
    for _ in range(times):
        started = time.perf_counter()
        running = server.start([folder], home, cores=cores, fresh=False)
        yield time.perf_counter() - started
        running.kill()


def _starts(what: str, taken: list[float]) -> Row:
    return Row(
        what,
        f"ready after {max(taken):.2f} s at most of {len(taken)}",
        f"<= {RESTART_SECONDS:g} s",
        max(taken) <= RESTART_SECONDS,
        {"most s": round(max(taken), 3), "least s": round(min(taken), 3)},
    )


async def until_killed(running: server.Server, name: str, items: int, moment: float) -> Told:
    """Send events until the service is killed after `moment` seconds."""
    told = Told()

    async def worker(number: int) -> None:
        rng = random.Random(f"{name} {number}")
        connection = await load.Connection.open(running.port)
        for place in range(10**9):
            events: list[dict[str, object]] = [
                {
                    "event_id": f"{name}-{number}-{place}-{part}",
                    "user_id": name,
                    "item_id": f"item-{rng.randrange(items)}",
                }
                for part in range(10 if place % 2 else 1)
            ]
            body = {"events": events} if len(events) > 1 else events[0]
            try:
                reply = await connection.ask(*questions.post("/v1/events", body))
            except (OSError, EOFError):
                told.unanswered.append(events)
                break
            if reply.status == 200:
                told.acknowledged.update(str(event["event_id"]) for event in events)
            else:
                told.refused += len(events)
        connection.close()

    workers = [asyncio.create_task(worker(number)) for number in range(CONNECTIONS)]
    await asyncio.sleep(moment)
    running.kill()
    await asyncio.gather(*workers)
    return told


def kept(running: server.Server, user: str) -> Counter[str]:
    """How often each event of a person is kept."""
    found, cursor = Counter[str](), None
    while True:
        asked = {"limit": 1000} | ({} if cursor is None else {"cursor": cursor})
        page = running.get(f"/v1/users/{user}?{urlencode(asked)}")
        found.update(event["event_id"] for event in page["events"])
        cursor = page["cursor"]
        if cursor is None:
            return found


FIGURE = Figure("kill", "Killing the service", TEXT, measure)

if __name__ == "__main__":
    FIGURE.main()
