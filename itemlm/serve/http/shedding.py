"""Shedding: when too much is waiting, newcomers are told so before anything is done for them.

Under a flood most of the work is saying no. A no that costs as much as a yes would leave nothing
for those who were let in, so this one lies outside of everything else: it reads no body, checks no
key, writes no line into the log and sends an answer that is nearly made already.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from itemlm.serve.http.exchange import path_of
from itemlm.serve.schemas import Problem, ProblemAnswer

SHED = frozenset({"/v1/recommend", "/v1/rank", "/v1/similar"})  # what the model's thread answers
LOOKED_AT = 0.05  # seconds between looks at how late the event loop is
MESSAGE = "More requests wait than can be answered in time."
REQUEST_ID = "0123456789abcdef"  # stands where that of each answer will be


def _body() -> tuple[bytes, bytes]:
    """The answer before and after the request id."""
    problem = Problem(code="overloaded", message=MESSAGE, request_id=REQUEST_ID)
    text = ProblemAnswer(error=problem).model_dump_json().encode()
    before, _, after = text.partition(REQUEST_ID.encode())
    return before, after


class Shedding:
    """Turns requests for the model away while too much is waiting.

    Args:
        app: what lies inside.
        waiting: seconds until another try makes sense; 0 where there is room.
        rejected: counts by code.
    """

    def __init__(self, app: ASGIApp, waiting: Callable[[], float], rejected: Counter) -> None:
        self.app, self.waiting = app, waiting
        self.rejected = rejected.labels("overloaded")
        self.before, self.after = _body()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and path_of(scope) in SHED:
            seconds = self.waiting()
            if seconds > 0:
                await self._refuse(send, seconds)
                return
        await self.app(scope, receive, send)

    async def _refuse(self, send: Send, seconds: float) -> None:
        self.rejected.inc()
        name = b"%016x" % random.getrandbits(64)
        body = self.before + name + self.after
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"%d" % max(1, math.ceil(seconds))),
            (b"x-request-id", name),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Lateness:
    """How late the event loop is: what waits to be read is in no queue that could be counted.

    Attributes:
        seconds: that the last look came too late.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    async def watch(self) -> None:
        """Look again and again."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOKED_AT
            await asyncio.sleep(LOOKED_AT)
            self.seconds = max(0.0, loop.time() - due)
