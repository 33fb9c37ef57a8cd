"""Requests over many kept connections, as fast as answers come or at a steady rate.

At a steady rate a request's time counts from the moment at which it was due, not from when a
connection was free for it: waiting for a slow service is part of what a caller suffers.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Request = tuple[str, str, bytes]  # method, path, JSON body
PATIENCE = 30.0  # seconds after which an answer counts as broken


@dataclass(frozen=True)
class Cycle:
    """The same requests again and again; can be sent to another process."""

    requests: Sequence[Request]

    def __call__(self, place: int) -> Request:
        """The request with a number."""
        return self.requests[place % len(self.requests)]


@dataclass
class Result:
    """What came back.

    Attributes:
        statuses: answers by status; "broken" for connections that gave none.
        seconds: of each answer with status 200, since it was due.
        sent_seconds: the same, since it was sent.
        refused_seconds: of each answer with status 429, since it was sent.
        moments: (when it was due, how long it took, whether it was accepted), in seconds.
        without_retry_after: answers with status 429 that do not say when to come back.
        samples: an answer of each status that is neither 200 nor 429.
        lasted: seconds in all.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    sent_seconds: list[float] = field(default_factory=list)
    refused_seconds: list[float] = field(default_factory=list)
    moments: list[tuple[float, float, bool]] = field(default_factory=list)
    without_retry_after: int = 0
    samples: dict[str, str] = field(default_factory=dict)
    lasted: float = 0.0

    def milliseconds(self, *percentiles: float) -> list[float]:
        """Percentiles of accepted requests."""
        return percentiles_of(self.seconds, percentiles)

    @property
    def answered(self) -> int:
        """Requests that were neither refused nor failed."""
        return self.statuses["200"]

    @property
    def refused(self) -> int:
        """Requests that were politely refused."""
        return self.statuses["429"]

    @property
    def failed(self) -> int:
        """Requests that were neither answered nor politely refused."""
        return self.statuses.total() - self.answered - self.refused

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answered / self.lasted if self.lasted else 0.0

    def line(self) -> str:
        """In a line."""
        p50, p95, p99 = self.milliseconds(50, 95, 99)
        return (
            f"{self.rate:,.0f} answers/s; p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms; "
            + (f"{self.refused:,} refused, " if self.refused else "")
            + f"{self.failed} failed"
        )

    def values(self) -> dict[str, object]:
        """For the record."""
        p50, p95, p99 = self.milliseconds(50, 95, 99)
        return {
            "answers per second": round(self.rate, 1),
            "p50 ms": round(p50, 2),
            "p95 ms": round(p95, 2),
            "p99 ms": round(p99, 2),
            "statuses": dict(self.statuses),
            **({"samples": self.samples} if self.samples else {}),
        }


def percentiles_of(seconds: Sequence[float], percentiles: Sequence[float]) -> list[float]:
    """In milliseconds; NaN where there is nothing."""
    if not seconds:
        return [float("nan")] * len(percentiles)
    return [1000 * float(value) for value in np.percentile(seconds, percentiles)]


def merged(results: Iterable[Result]) -> Result:
    """What several clients saw at the same time, as one."""
    out = Result()
    for result in results:
        out.statuses += result.statuses
        out.seconds += result.seconds
        out.sent_seconds += result.sent_seconds
        out.refused_seconds += result.refused_seconds
        out.moments += result.moments
        out.without_retry_after += result.without_retry_after
        out.samples = result.samples | out.samples
        out.lasted = max(out.lasted, result.lasted)
    return out


async def run(
    port: int,
    make: Callable[[int], Request],
    *,
    seconds: float,
    connections: int,
    rate: float | None = None,
    until: Callable[[], bool] = lambda: False,
) -> Result:
    """Load on a service of this machine.

    Args:
        port: where it listens.
        make: the request with a number.
        seconds: how long at most.
        connections: at a time.
        rate: requests per second; as many as can be answered if None.
        until: ends it earlier.
    """
    result = Result()
    opened = [await Connection.open(port) for _ in range(connections)]
    started = time.perf_counter()
    end = started + seconds
    number = iter(range(10**12))

    async def worker(connection: Connection | None) -> None:
        while not until():
            place = next(number)
            due = started + place / rate if rate else time.perf_counter()
            if max(due, time.perf_counter()) >= end:
                break
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            sent = time.perf_counter()
            try:
                connection = connection or await Connection.open(port)
                async with asyncio.timeout(PATIENCE):
                    reply = await connection.ask(*make(place))
            except (OSError, EOFError, TimeoutError, ValueError):
                result.statuses["broken"] += 1
                if connection is not None:
                    connection.close()
                connection = None
                await asyncio.sleep(0.01)
                continue
            _count(result, reply, due - started, sent - started, time.perf_counter() - started)
        if connection is not None:
            connection.close()

    await asyncio.gather(*map(worker, opened))
    result.lasted = time.perf_counter() - started
    return result


def _count(result: Result, reply: Reply, due: float, sent: float, now: float) -> None:
    status = str(reply.status)
    result.statuses[status] += 1
    result.moments.append((due, now - due, status == "200"))
    if status == "200":
        result.seconds.append(now - due)
        result.sent_seconds.append(now - sent)
    elif status == "429":
        result.refused_seconds.append(now - sent)
        result.without_retry_after += not reply.header(b"retry-after")
    else:
        result.samples.setdefault(status, reply.body[:300].decode("utf-8", "replace"))


def by_processes(
    port: int,
    make: Callable[[int], Request],
    *,
    seconds: float,
    connections: int,
    rate: float,
    cores: Sequence[int],
) -> Result:
    """`run` by one process per core, for rates that are too much for one."""
    share = max(1, connections // len(cores))
    with ProcessPoolExecutor(
        len(cores), mp_context=multiprocessing.get_context("spawn")
    ) as clients:
        jobs = [
            clients.submit(_client, core, port, make, seconds, share, rate / len(cores))
            for core in cores
        ]
        return merged(job.result() for job in jobs)


def _client(
    core: int,
    port: int,
    make: Callable[[int], Request],
    seconds: float,
    connections: int,
    rate: float,
) -> Result:
    os.sched_setaffinity(0, {core})
    return asyncio.run(run(port, make, seconds=seconds, connections=connections, rate=rate))


@dataclass(frozen=True)
class Reply:
    """An answer: its status, all header lines as they came, its body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> bytes:
        """The value of a header; empty where there is none."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name:
                return value.strip()
        return b""

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)


class Connection:
    """One kept HTTP connection; small, so that the client costs little beside the service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """To a service of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        """The answer to a request."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        return await self.reply()

    async def reply(self) -> Reply:
        """The next answer.

        Raises:
            EOFError: if the service hangs up before it.
        """
        head = await self.reader.readuntil(b"\r\n\r\n")
        reply = Reply(int(head.split(b" ", 2)[1]), head, b"")
        if reply.header(b"transfer-encoding").lower() == b"chunked":
            return Reply(reply.status, head, await self._chunks())
        length = int(reply.header(b"content-length") or 0)
        return Reply(reply.status, head, await self.reader.readexactly(length))

    async def _chunks(self) -> bytes:
        parts = []
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readuntil(b"\r\n")
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self.writer.close()
