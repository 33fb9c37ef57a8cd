"""Rate limit: a token bucket per key, or per address where nobody has one.

Each caller has a bucket that fills at a steady rate up to a burst, and a request takes one token.
The table is bounded: the caller that was silent for longest is forgotten first, and starts with a
full bucket when it returns.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from itemlm.serve.http import exchange
from itemlm.serve.http.errors import ApiError
from itemlm.serve.http.scopes import HEALTH


class Buckets:
    """Token buckets by caller.

    Args:
        per_second: tokens that flow into each bucket.
        burst: tokens that a bucket holds at most, and at first.
        callers: buckets that are kept.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        callers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_second = per_second
        self.burst = burst
        self.callers = callers
        self.clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: str) -> float:
        """Take a token: how many are left, or if below 0, minus the seconds until there is one."""
        now = self.clock()
        tokens, at = self._buckets.pop(caller, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        is_allowed = tokens >= 1
        if is_allowed:
            tokens -= 1
        self._buckets[caller] = (tokens, now)  # as the last one to be forgotten
        if len(self._buckets) > self.callers:
            self._buckets.popitem(last=False)
        return tokens if is_allowed else (tokens - 1) / self.per_second


class RateLimited:
    """Refuses callers whose bucket is empty. Health checks are always answered."""

    def __init__(self, app: ASGIApp, buckets: Buckets, rejected: Counter) -> None:
        self.app = app
        self.buckets = buckets
        self.rejected = rejected.labels("rate_limited")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if exchange.path_of(scope) not in HEALTH:
            here = exchange.of(scope)
            left = self.buckets.take(_caller(scope, here))
            if left < 0:
                self.rejected.inc()
                raise ApiError(
                    "rate_limited",
                    f"More than {self.buckets.per_second:g} requests per second. Try again in "
                    f"{-left:.3g} seconds.",
                    retry_after=-left,
                )
            here.remaining = int(left)
        await self.app(scope, receive, send)


def _caller(scope: Scope, here: exchange.Exchange) -> str:
    if here.key_name is not None:
        return f"key {here.key_name}"
    client = scope.get("client")
    return f"address {client[0]}" if client else "address unknown"
