"""Observed: the outermost middleware, which sees every answer that leaves.

It names the request, puts the headers on the answer that belong on every one, and afterwards counts
the request and writes its line into the access log.
"""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from itemlm.serve.http import exchange
from itemlm.serve.http.log import log_request
from itemlm.serve.http.metrics import METHODS, Metrics

GONE = 499  # the caller left before the answer; the usual number for it in logs
# Nothing but our own files, no inline scripts, no frame around us, forms only to ourselves.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
HTML = (b"content-security-policy", CONTENT_SECURITY_POLICY.encode())
# Answers hold what people did: no cache between us and the caller may keep them.
NOT_CACHED = (b"cache-control", b"no-store")


class Observed:
    """Request ids, headers of every answer, metrics and the access log."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        here = exchange.begin(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                here.status = message["status"]
                message = {**message, "headers": _with_ours(message.get("headers", ()), here)}
            await send(message)

        named = exchange.request_id.set(here.request_id)
        self.metrics.begin_request()
        began = time.perf_counter()
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - began
            route, method = exchange.template_of(scope), scope["method"]
            status = here.status or GONE
            self.metrics.end_request(route, method, status, seconds)
            log_request(
                {
                    "method": method if method in METHODS else "OTHER",
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                    "request_id": here.request_id,
                    "key": here.key_name,
                }
            )
            exchange.request_id.reset(named)


def _with_ours(
    headers: list[tuple[bytes, bytes]], here: exchange.Exchange
) -> list[tuple[bytes, bytes]]:
    """The headers of an answer and ours; what a route has set itself stays."""
    ours = [*headers, *ALWAYS, (b"x-request-id", here.request_id.encode())]
    if here.remaining is not None:
        ours.append((b"ratelimit-remaining", b"%d" % here.remaining))
    given = dict(headers)
    if b"cache-control" not in given:
        ours.append(NOT_CACHED)
    is_html = given.get(b"content-type", b"").startswith(b"text/html")
    if is_html and b"content-security-policy" not in given:
        ours.append(HTML)
    return ours
