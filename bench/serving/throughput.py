"""Requests per second and their latency, beside the bare model.

python bench/serving/throughput.py
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import load, server

ITEMS = 100_000
SERVER_CORES, CLIENT_CORES = (0, 1), (2, 3)


def requests(items: int, length: int = 20, k: int = 10) -> list[load.Request]:
    """Histories of random items."""
    rng = random.Random(0)
    made = []
    for _ in range(5000):
        history = [f"item-{rng.randrange(items)}" for _ in range(rng.randint(1, length))]
        body = json.dumps({"history": history, "k": k}).encode()
        made.append(("POST", "/v1/recommend", body))
    return made


def main(paper: str, seconds: float) -> None:
    folder = server.made_up(paper, ITEMS)
    asked = requests(ITEMS)
    with server.running([folder], server.CACHE / f"home-{paper}", cores=SERVER_CORES) as running:
        import os

        os.sched_setaffinity(0, CLIENT_CORES)
        make = lambda place: asked[place % len(asked)]  # noqa: E731
        asyncio.run(load.run(running.port, make, seconds=2, connections=16))
        for rate in (100, 300):
            result = asyncio.run(
                load.run(running.port, make, seconds=seconds, connections=64, rate=rate)
            )
            print(f"{paper} at {rate}/s:", result.line(), f"{running.megabytes:.0f} MB", flush=True)
        for connections in (1, 8, 32, 128):
            result = asyncio.run(
                load.run(running.port, make, seconds=seconds, connections=connections)
            )
            print(f"{paper}, {connections} connections:", result.line(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
