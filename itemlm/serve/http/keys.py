"""API keys: who asks, and whether they may.

A key is 32 random characters, given as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Only its
SHA-256 is stored. A slow password hash would be wrong here: it protects words that can be guessed,
at the price of milliseconds per request, while 192 random bits cannot be guessed at any speed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from typing import Protocol
from urllib.parse import urlencode

from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from itemlm.serve.http import exchange
from itemlm.serve.http.errors import ApiError
from itemlm.serve.http.origins import is_same_origin
from itemlm.serve.http.scopes import LOGIN, OPEN_FORMS, READS, SCOPES, is_page, required_scope
from itemlm.serve.http.settings import HttpSettings, is_loopback
from itemlm.types import ConfigError

PREFIX = "ilm_"  # lets scanners find keys that were published by mistake
RANDOM_BYTES = 24  # 192 bits; 32 url-safe characters
LONGEST_KEY = 200
COOKIE = "itemlm_key"  # set by the login form: HttpOnly, SameSite=Strict

log = logging.getLogger("itemlm.serve")


class KeyRecord(Protocol):
    """A key as the store keeps it."""

    @property
    def name(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def scopes(self) -> Collection[str]: ...
    @property
    def revoked_at(self) -> object | None: ...


def new_key() -> str:
    """A key that nobody has; shown once to its owner and never stored."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def hash_key(key: str) -> str:
    """What is stored of a key: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def require(scope: Scope, needed: str) -> None:
    """Refuse a request whose key lacks a scope; a service without keys allows everything.

    Raises:
        ApiError: `missing_scope`.
    """
    scopes = exchange.of(scope).scopes
    if scopes is None or any(name in scopes for name in SCOPES[SCOPES.index(needed) :]):
        return
    listed = ", ".join(sorted(scopes)) or "none"
    raise ApiError("missing_scope", f"This needs the scope '{needed}', but the key has: {listed}.")


class KeyRing:
    """The keys of the store, read again every few seconds.

    Args:
        load: reads all keys, revoked ones too; called in a thread.
        seconds: a revoked key is refused after at most twice this time.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        load: Callable[[], Iterable[KeyRecord]],
        *,
        seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._seconds = seconds
        self._clock = clock
        self._reading: asyncio.Task[None] | None = None
        self._by_hash: dict[str, KeyRecord] = {}
        self.is_empty = True  # no key was ever made; one that was revoked does not open the door
        self.refresh()

    def refresh(self) -> None:
        """Read the keys now.

        Raises:
            Exception: whatever the store raises.
        """
        records = list(self._load())
        self._by_hash = {row.hash: row for row in records if row.revoked_at is None}
        self.is_empty = not records
        self._read_at = self._clock()

    def find(self, key: str) -> KeyRecord | None:
        """The record of a key; None if it is unknown or revoked.

        The time that this takes depends on the key's hash, which a guesser cannot steer, and not
        on how much of the key is right.
        """
        hashed = hash_key(key)
        record = self._by_hash.get(hashed)
        return record if record is not None and hmac.compare_digest(record.hash, hashed) else None

    async def stay_fresh(self) -> None:
        """Read the keys again if they are old: meanwhile, or at once after a long silence."""
        age = self._clock() - self._read_at
        if age < self._seconds:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._refresh_in_thread())
        if age >= 2 * self._seconds:
            await asyncio.shield(self._reading)

    async def _refresh_in_thread(self) -> None:
        try:
            await asyncio.to_thread(self.refresh)
        except Exception:
            log.exception("the API keys could not be read again; the last known ones stay valid")
            self._read_at = self._clock()  # the next try is as far away as after a success


class Keyed:
    """Lets a request in if its key may do what it asks for."""

    def __init__(self, app: ASGIApp, ring: KeyRing, settings: HttpSettings) -> None:
        self.app = app
        self.ring = ring
        self.keyless = settings.is_local or settings.open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self.ring.stay_fresh()
        if not (self.ring.is_empty and self.keyless):
            to_login = self._check(scope)
            if to_login is not None:
                await to_login(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> Response | None:
        """None to go on, or the way to the login form; raises errors."""
        method, path = scope["method"], exchange.path_of(scope)
        needed = required_scope(method, path)
        if needed is None:
            if path in OPEN_FORMS and method not in READS:
                _check_own_form(scope, or_unknown=True)
            return None
        key = _given_key(scope, method, path)
        if not key:
            if _is_look(scope, method, path):
                return RedirectResponse(_login_url(scope), status_code=303)
            raise ApiError(
                "no_key", "This needs an API key: send the header 'Authorization: Bearer KEY'."
            )
        record = self.ring.find(key)
        if record is None and _is_look(scope, method, path):  # the key of a cookie was revoked
            return RedirectResponse(_login_url(scope), status_code=303)
        if record is None:
            raise ApiError(
                "unknown_key", "The API key is not known here, or was revoked. Ask for a new one."
            )
        here = exchange.of(scope)
        here.key_name, here.scopes = record.name, frozenset(record.scopes)
        require(scope, needed)
        return None


def _is_look(scope: Scope, method: str, path: str) -> bool:
    """Whether a person is at a browser and wants to see a page."""
    accepted = exchange.header(scope, b"accept")
    return method in READS and is_page(path) and "text/html" in accepted


def _given_key(scope: Scope, method: str, path: str) -> str:
    """The key of a request, or "". A header counts before the cookie."""
    kind, _, bearer = exchange.header(scope, b"authorization").partition(" ")
    key = bearer.strip() if kind.lower() == "bearer" else ""
    key = key or exchange.header(scope, b"x-api-key").strip()
    if not key and is_page(path):
        key = cookie_parser(exchange.header(scope, b"cookie")).get(COOKIE, "")
        if key and method not in READS:
            _check_own_form(scope, or_unknown=False)
    return key[:LONGEST_KEY]


def _check_own_form(scope: Scope, or_unknown: bool) -> None:
    """Refuse a form that a page of another site sent in the name of whoever looks at it."""
    if not is_same_origin(scope, or_unknown=or_unknown):
        raise ApiError("foreign_origin", "Only the pages of this service may send this form.")


def _login_url(scope: Scope) -> str:
    """The login form, which leads back to the page that was asked for."""
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = exchange.path_of(scope) + (f"?{query}" if query else "")
    return f"{scope.get('root_path', '')}{LOGIN}?{urlencode({'next': wanted})}"


def check_exposure(host: str, ring_is_empty: bool, open: bool) -> None:
    """Refuse to start where strangers could reach a service without keys.

    Raises:
        ConfigError: with the commands that mend it.
    """
    if ring_is_empty and not open and not is_loopback(host):
        raise ConfigError(
            f"the service would be reachable at {host} without any API key. Make one with "
            "'itemlm keys add NAME --scope read', serve this machine alone with "
            "'--host 127.0.0.1', or allow everybody everything with '--open'."
        )
