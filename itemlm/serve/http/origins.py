"""Origins: keeps web pages of other sites away from a service without keys.

A browser on this machine reaches `localhost`, so any web page that it shows could call the service:
by a request across sites, or by a name of its own that suddenly means 127.0.0.1 (DNS rebinding).
With keys neither helps, since a foreign page has none. Without keys only requests for known host
names and from no foreign origin are let in.
"""

from __future__ import annotations

import ipaddress
from typing import Protocol

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from itemlm.serve.http import exchange
from itemlm.serve.http.errors import ApiError, answer_to
from itemlm.serve.http.scopes import HEALTH, READS
from itemlm.serve.http.settings import HttpSettings
from itemlm.serve.http.validation import clean

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
CALLER_HEADERS = ("Authorization", "X-API-Key", "Content-Type", "X-Request-ID")
OUR_HEADERS = ("X-Request-ID", "Retry-After", "RateLimit-Remaining")


class Doors(Protocol):
    """All that is asked of the ring of keys here."""

    is_empty: bool


class NoForeigners:
    """Refuses requests that a web page of another site makes to a service without keys."""

    def __init__(self, app: ASGIApp, ring: Doors, settings: HttpSettings) -> None:
        self.app = app
        self.ring = ring
        own = (settings.host, *settings.allowed_hosts)
        self.names = LOCAL_NAMES | {name.lower() for name in own}
        self.is_local = settings.is_local
        self.friends = frozenset(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self.ring.is_empty and exchange.path_of(scope) not in HEALTH:
            self._check(scope)
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        host = exchange.header(scope, b"host")
        name = _name_of(host)
        # An address cannot be rebound, and a service that is open to others is called by it.
        if name not in self.names and (self.is_local or not _is_address(name)):
            raise ApiError(
                "foreign_origin",
                f"The service does not know itself as '{clean(host, 80)}'. If that name is right, "
                "add it to 'hosts' in the settings, or make an API key: 'itemlm keys add NAME'.",
            )
        origin = exchange.header(scope, b"origin")
        if origin in self.friends or is_same_origin(scope, or_unknown=True):
            return
        # Following a link to the page is harmless: who made the link cannot see the answer.
        if scope["method"] in READS and _is_followed_link(scope):
            return
        raise ApiError(
            "foreign_origin",
            f"A web page of another site ({clean(origin, 80) or 'not named'}) called. If it may, "
            "add its origin to 'cors' in the settings.",
        )


class Cors:
    """Starlette's CORS, with refusals in the service's shape; needed for allowed origins only."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self.origins = frozenset(settings.cors_origins)
        self.app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=CALLER_HEADERS,
            expose_headers=OUR_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in (
            exchange.of(scope).headers
        )
        origin = exchange.header(scope, b"origin")
        if is_preflight and origin not in self.origins:
            refusal = ApiError(
                "foreign_origin",
                f"Pages of '{clean(origin, 80)}' may not call. If they may, add the origin to "
                "'cors' in the settings.",
            )
            await answer_to(refusal, scope)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def is_same_origin(scope: Scope, *, or_unknown: bool = False) -> bool:
    """Whether a request was made by a page of this service.

    Args:
        scope: of the request.
        or_unknown: what to say where the caller, perhaps no browser at all, does not tell.
    """
    site = exchange.header(scope, b"sec-fetch-site")
    if site:  # what the browser says itself stays true where a proxy changes the Host header
        return site == "same-origin" or (or_unknown and site == "none")  # none: typed or a bookmark
    origin = exchange.header(scope, b"origin")
    if origin:
        # The scheme may differ, behind a proxy that speaks HTTPS.
        return origin.partition("://")[2].lower() == exchange.header(scope, b"host").lower()
    return or_unknown


def _is_followed_link(scope: Scope) -> bool:
    return (
        exchange.header(scope, b"sec-fetch-mode") == "navigate"
        and exchange.header(scope, b"sec-fetch-dest") == "document"
    )


def _name_of(host: str) -> str:
    """The name in a Host header, without its port: `[::1]:8000` is `::1`."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
