"""Shedding: when too much is waiting, newcomers are told so before anything is done for them.

Under a flood most of the work is saying no. A no that costs as much as a yes would leave nothing
for those who were let in, so this one reads no body, makes no objects and writes a fixed answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from itemlm.serve.http import exchange
from itemlm.serve.http.errors import ApiError, answer_to

SHED = frozenset({"/v1/recommend", "/v1/rank", "/v1/similar"})  # what the model's thread answers


class Shedding:
    """Turns requests for the model away while its queue is too long.

    Args:
        app: what lies inside.
        waiting: seconds until another try makes sense; 0 where there is room.
        rejected: counts by code.
    """

    def __init__(self, app: ASGIApp, waiting: Callable[[], float], rejected: Counter) -> None:
        self.app, self.waiting = app, waiting
        self.rejected = rejected.labels("overloaded")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and exchange.path_of(scope) in SHED:
            seconds = self.waiting()
            if seconds > 0:
                self.rejected.inc()
                error = ApiError(
                    "overloaded",
                    "More requests wait than can be answered in time.",
                    retry_after=math.ceil(seconds),
                )
                await answer_to(error, scope)(scope, receive, send)
                return
        await self.app(scope, receive, send)
