"""Requests over many kept connections, as fast as answers come or at a steady rate.

At a steady rate a request's time counts from the moment at which it was due, not from when a
connection was free for it: waiting for a slow service is part of what a caller suffers.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Request = tuple[str, str, bytes]  # method, path, JSON body


@dataclass
class Result:
    """What came back.

    Attributes:
        statuses: answers by status; "broken" for connections that gave none.
        seconds: of each answer with status 200.
        refused_seconds: of each answer with status 429.
        answered: (status, body) where asked to keep them.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    refused_seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0

    def milliseconds(self, *percentiles: float) -> list[float]:
        """Percentiles of accepted requests."""
        if not self.seconds:
            return [float("nan")] * len(percentiles)
        return [1000 * float(v) for v in np.percentile(self.seconds, percentiles)]

    @property
    def failed(self) -> int:
        """Requests that were neither answered nor politely refused."""
        return sum(count for status, count in self.statuses.items() if status not in ("200", "429"))

    def line(self) -> str:
        """In a line."""
        p50, p95, p99 = self.milliseconds(50, 95, 99)
        accepted = len(self.seconds)
        return (
            f"{accepted / self.lasted:,.0f} answers/s  p50 {p50:.1f}  p95 {p95:.1f}  "
            f"p99 {p99:.1f} ms  {dict(self.statuses)}"
        )


async def run(
    port: int,
    make: Callable[[int], Request],
    *,
    seconds: float,
    connections: int,
    rate: float | None = None,
) -> Result:
    """Load on a service of this machine.

    Args:
        port: where it listens.
        make: the request with a number.
        seconds: how long.
        connections: at a time.
        rate: requests per second; as many as can be answered if None.
    """
    result = Result()
    opened = [await Connection.open(port) for _ in range(connections)]
    started = time.perf_counter()
    end = started + seconds
    number = iter(range(10**12))

    async def worker(connection: Connection | None) -> None:
        while True:
            place = next(number)
            due = started + place / rate if rate else time.perf_counter()
            if due >= end:
                break
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            try:
                connection = connection or await Connection.open(port)
                status, _ = await connection.ask(*make(place))
            except (OSError, EOFError, asyncio.IncompleteReadError, ValueError):
                result.statuses["broken"] += 1
                connection = None
                await asyncio.sleep(0.01)
                continue
            result.statuses[str(status)] += 1
            took = time.perf_counter() - due
            if status == 200:
                result.seconds.append(took)
            elif status == 429:
                result.refused_seconds.append(took)
        if connection is not None:
            connection.close()

    await asyncio.gather(*map(worker, opened))
    result.lasted = time.perf_counter() - started
    return result


class Connection:
    """One kept HTTP connection; small, so that the client costs little beside the service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """To a service of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        status, length = int(lines[0].split()[1]), 0
        for line in lines[1:]:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        return status, await self.reader.readexactly(length)

    def close(self) -> None:
        """Hang up."""
        self.writer.close()
