"""Signing in: the form for an API key, and the cookie that it sets.

The HTTP layer asks for keys, sends browsers here, and sees to it that forms come from our pages.
"""

from __future__ import annotations

from typing import Annotated, Protocol
from urllib.parse import parse_qs

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from itemlm.serve.http.errors import ApiError
from itemlm.serve.http.keys import COOKIE, LONGEST_KEY, require
from itemlm.serve.page.render import rendered

LONGEST_FORM = 4096  # bytes
KEY_SECONDS = 30 * 24 * 3600


class Keys(Protocol):
    """What the login form asks of the ring of keys."""

    is_empty: bool

    def find(self, key: str) -> object | None:
        """The record of a key; None if it is unknown or revoked."""
        ...


def allows(scope: Scope, needed: str) -> bool:
    """Whether the key of a request, or the absence of all keys, allows something."""
    try:
        require(scope, needed)
    except ApiError:
        return False
    return True


def add_forms(router: APIRouter, keys: Keys | None) -> None:
    """Routes to sign in and out; `keys` is None where none are required."""

    def login(request: Request, status: int, goal: str, problem: str = "") -> Response:
        needed = keys is not None and not keys.is_empty
        return rendered("login.html", request, status, next=goal, needed=needed, problem=problem)

    @router.get("/login")
    async def form(request: Request, next: Annotated[str, Query()] = "/") -> Response:
        return login(request, 200, own_path(next))

    @router.post("/login")
    async def sign_in(request: Request) -> Response:
        form = await form_of(request)
        key, goal = form.get("key", "").strip()[:LONGEST_KEY], own_path(form.get("next", "/"))
        if keys is None or keys.is_empty:
            return RedirectResponse(goal, status_code=303)
        if keys.find(key) is None:
            problem = "This key is not known, or was revoked. Copy it again, or ask for a new one."
            return login(request, 401, goal, problem)
        answer = RedirectResponse(goal, status_code=303)
        answer.set_cookie(
            COOKIE,
            key,
            max_age=KEY_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout")
    async def sign_out(request: Request) -> Response:
        await form_of(request)
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(
            COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return answer


def own_path(path: str) -> str:
    """The path, or "/" where it would lead to another site."""
    own = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if own and path.isprintable() else "/"


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; that a page of ours sent it, the HTTP layer has seen to.

    Raises:
        ApiError: if it is too long.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            raise ApiError("too_large", f"A form may have at most {LONGEST_FORM:,} bytes.")
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}
