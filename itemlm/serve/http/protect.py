"""Protect: all of the HTTP layer around an application, in the right order.

From the outside in, with the reason for each place:

    Observed      sees every answer, also those of the layers below: names, times, counts, logs it
    Cors          outside of errors and keys, since a browser must be able to read a refusal too,
                  and asks without a key whether it may ask; only where origins are allowed
    Answered      turns errors of all that follows into answers
    Keyed         before the rate limit, which counts by key; reads the keys again if they are old
    NoForeigners  where no key was ever made and `Keyed` lets all pass, this is the lock
    RateLimited   before the body, so that one who asks too often does not have it read
    BodyLimited   last: nothing is read for a request that is refused anyway
    the framework's own error handlers, with the answers of `errors.install`
    the routes

Refusals before the routes are logged and counted under the route "unmatched", since nobody has
looked for the route yet. All are plain ASGI callables: Starlette's `BaseHTTPMiddleware` would start
a task per request and layer.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from itemlm.serve.http.errors import Answered, install
from itemlm.serve.http.keys import Keyed, KeyRing
from itemlm.serve.http.limits import BodyLimited
from itemlm.serve.http.metrics import Metrics
from itemlm.serve.http.observe import Observed
from itemlm.serve.http.origins import Cors, NoForeigners
from itemlm.serve.http.rate import Buckets, RateLimited
from itemlm.serve.http.settings import HttpSettings

POLICY_VIOLATION = 1008  # of a WebSocket


class Protected:
    """All layers but the outermost as one."""

    def __init__(
        self, app: ASGIApp, settings: HttpSettings, ring: KeyRing, metrics: Metrics
    ) -> None:
        self.app = app
        layers: ASGIApp = BodyLimited(app, settings)
        if settings.rate_per_second is not None:
            buckets = Buckets(settings.rate_per_second, settings.rate_burst, settings.rate_callers)
            layers = RateLimited(layers, buckets, metrics.rejected)
        layers = NoForeigners(layers, ring, settings)
        layers = Keyed(layers, ring, settings)
        layers = Answered(layers)
        self.layers = Cors(layers, settings) if settings.cors_origins else layers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; starting and stopping go to the application untouched."""
        if scope["type"] == "http":
            await self.layers(scope, receive, send)
        elif scope["type"] == "websocket":
            # No route is one, and the layers are for HTTP.
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await self.app(scope, receive, send)


def protect(app: FastAPI, settings: HttpSettings, ring: KeyRing, metrics: Metrics) -> None:
    """Install everything; call once, before the application serves.

    Middleware that the application has already lies inside of this.
    """
    install(app)
    app.add_middleware(Protected, settings=settings, ring=ring, metrics=metrics)
    app.add_middleware(Observed, metrics=metrics)
