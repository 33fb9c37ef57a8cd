"""Exchange: what the HTTP layer knows of one request while it is being answered.

It lies in the ASGI scope, where every middleware and route finds it. The request id is also in a
context variable, so that code far from the request can name it in the log.
"""

from __future__ import annotations

import random
import re
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.types import Scope

SCOPE_KEY = "itemlm.exchange"
NO_REQUEST = "-"
# Letters that mean nothing to a header, a log line or a shell.
SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

request_id: ContextVar[str] = ContextVar("itemlm_request_id", default=NO_REQUEST)


@dataclass(slots=True)
class Exchange:
    """One request and its answer so far."""

    request_id: str
    headers: dict[bytes, bytes]  # of the request; names in lower case
    key_name: str | None = None  # whose API key was given
    scopes: frozenset[str] | None = None  # of that key; None where no key is needed
    remaining: int | None = None  # requests that the caller has left in the bucket
    status: int | None = None  # of the answer, once it has begun


def begin(scope: Scope) -> Exchange:
    """Start an exchange: take the caller's request id if it is a short safe token, or make one."""
    headers = dict(scope["headers"])
    given = headers.get(b"x-request-id", b"")
    name = given.decode("ascii") if SAFE_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"
    exchange = Exchange(request_id=name, headers=headers)
    scope[SCOPE_KEY] = exchange
    return exchange


def of(scope: Scope) -> Exchange:
    """The exchange of a request."""
    exchange: Exchange = scope[SCOPE_KEY]
    return exchange


def header(scope: Scope, name: bytes) -> str:
    """A header of the request, or "" where it is absent."""
    return of(scope).headers.get(name, b"").decode("latin-1")


def path_of(scope: Scope) -> str:
    """The path as the routes see it: without the prefix of a proxy or a mount."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :]
    return path


def is_below(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path is one of these, written with a slash at the end, or lies below one."""
    return f"{path}/".startswith(folders)


def template_of(scope: Scope) -> str:
    """The matched route as it was declared, `/v1/items/{item_id}`; "unmatched" if there is none.

    The path itself would put the ids of people into logs, and a series into the metrics for each.
    """
    # A route of an included router knows only its own part; FastAPI keeps the whole beside it.
    context = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(context, "path", None) or getattr(scope.get("route"), "path", None)
    return path or "unmatched"
