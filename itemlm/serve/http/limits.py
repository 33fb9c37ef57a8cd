"""Limits: on the size, depth and slowness of a body.

A body is read whole before anything looks at it, so that every route is protected alike, and it is
checked on its bytes before the JSON parser builds objects from it.
"""

from __future__ import annotations

import asyncio

import numpy as np
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from itemlm.serve.http import exchange
from itemlm.serve.http.errors import ApiError
from itemlm.serve.http.settings import HttpSettings
from itemlm.serve.http.validation import clean

WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
JSON_ROUTES = "/v1/"
_STEP = np.zeros(256, dtype=np.int8)  # how each byte changes the depth
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1


def json_depth(body: bytes) -> int:
    """How deeply brackets nest in a JSON text; brackets in strings do not count.

    For a text that is not JSON the number means nothing, but the parser then fails without
    building anything. Takes about 5 ms for a megabyte.
    """
    # Escaped backslashes first: then every \\" left is a quote inside a string.
    plain = np.frombuffer(body.replace(b"\\\\", b"").replace(b'\\"', b""), dtype=np.uint8)
    in_string = np.bitwise_xor.accumulate(plain == ord('"'))
    depth = np.cumsum(np.where(in_string, 0, _STEP[plain]), dtype=np.int32)
    return int(depth.max(initial=0))


class BodyLimited:
    """Reads and checks the body before the route sees it."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["method"] in WITHOUT_BODY:
            await self.app(scope, receive, send)
            return
        body = await self._read(scope, receive)
        if body is None:
            return  # the caller left
        if body and exchange.path_of(scope).startswith(JSON_ROUTES):
            self._check_json(scope, body)
        is_given = False

        async def receive_body() -> Message:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_body, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        limit = self.settings.body_bytes
        too_large = ApiError(
            "too_large",
            f"The body is larger than {limit:,} bytes. Send it in several requests.",
        )
        length = exchange.header(scope, b"content-length")
        if length.isdecimal() and int(length[:20]) > limit:
            raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limit:
                        raise too_large
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise ApiError(
                "slow_body",
                f"The body did not arrive within {self.settings.body_seconds:g} seconds.",
                headers={"Connection": "close"},  # the rest of the body may still come
            ) from None

    def _check_json(self, scope: Scope, body: bytes) -> None:
        given = exchange.header(scope, b"content-type")
        kind = given.partition(";")[0].strip().lower()
        is_json = kind == "application/json" or (
            kind.startswith("application/") and kind.endswith("+json")
        )
        if not is_json:
            raise ApiError(
                "unsupported_media_type",
                "The body must be JSON, with the header 'Content-Type: application/json'; "
                f"received '{clean(given, 80)}'.",
            )
        encoding = exchange.header(scope, b"content-encoding").strip().lower()
        if encoding not in ("", "identity"):
            raise ApiError(
                "unsupported_media_type",
                f"The body must not be compressed; received '{clean(encoding, 80)}'.",
            )
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ApiError(
                "bad_json", f"The body is not UTF-8: byte {error.start} cannot be read."
            ) from None
        limit = self.settings.json_depth
        # Few brackets cannot nest deeply; most bodies need no more than this.
        if body.count(b"[") + body.count(b"{") > limit and json_depth(body) > limit:
            raise ApiError("bad_json", f"The body nests more than {limit} levels deep.")
