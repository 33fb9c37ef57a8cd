"""Every error of the service in one JSON shape: a stable code, a sentence, a request id.

Routes raise `ApiError("not_found", "There is no item 'x'.")`; `CODES` is the table of all codes.
Any other `ItemlmError` is a mistake of the caller too, and is answered with its own sentence. What
nobody expected is answered with the request id alone, and its traceback goes to the log.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from itemlm.serve.http import exchange
from itemlm.serve.http.validation import FIELD_LENGTH, clean, sentence
from itemlm.serve.rules.tree import RuleError
from itemlm.serve.schemas import Problem, ProblemAnswer
from itemlm.types import ItemlmError

log = logging.getLogger("itemlm.serve")
MESSAGE_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Code:
    """What an error code means."""

    statuses: tuple[int, ...]  # the first is the usual one
    meaning: str


CODES: dict[str, Code] = {
    "bad_json": Code((400,), "The body is not JSON, not UTF-8, or nested too deeply."),
    "bad_filter": Code((400,), "A filter or condition cannot be read, or does not fit the items."),
    "bad_request": Code((422, 400), "A value is missing, unknown or not possible."),
    "no_key": Code((401,), "An API key is needed and none was given."),
    "unknown_key": Code((401,), "The API key is not known, or was revoked."),
    "missing_scope": Code((403,), "The API key may not do this."),
    "foreign_origin": Code((403,), "A web page of another site, or an unknown host name, called."),
    "not_found": Code((404,), "There is nothing of this name."),
    "method_not_allowed": Code((405,), "The path exists, but not with this method."),
    "slow_body": Code((408,), "The body did not arrive in time."),
    "too_large": Code((413,), "The body is larger than the service takes."),
    "unsupported_media_type": Code((415,), "The body is of a kind that the service cannot read."),
    "rate_limited": Code((429,), "Too many requests of this caller; Retry-After says when."),
    "overloaded": Code((429,), "Too many requests of all callers; Retry-After says when."),
    "internal": Code((500,), "An error of the service; its log has more under the request id."),
    "not_ready": Code((503,), "The service is still starting."),
    "draining": Code((503,), "The service is about to stop."),
    "storage_unavailable": Code((503,), "The storage does not answer, so nothing was stored."),
    "timeout": Code((504,), "The answer took longer than allowed."),
}
CODE_OF_STATUS = {status: code for code, row in reversed(CODES.items()) for status in row.statuses}


class ApiError(ItemlmError):
    """An error with its place in the table.

    Args:
        code: a key of `CODES`.
        message: a sentence: what was wrong, what was received, how to mend it.
        field: the part of the request that it is about, such as `events.3.kind`.
        status: where a code has several.
        retry_after: seconds after which another try makes sense.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or CODES[code].statuses[0]
        self.field = field
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")


def answer_to(error: Exception, scope: Scope) -> Response:
    """The answer to any exception; what is not a mistake of the caller is logged."""
    if isinstance(error, ApiError):
        known = error
    elif isinstance(error, ItemlmError):
        code = "bad_filter" if isinstance(error, RuleError) else "bad_request"
        known = ApiError(code, str(error), status=400)
    elif isinstance(error, RequestValidationError):
        known = _of_validation(error, scope)
    elif isinstance(error, HTTPException):
        known = _of_status(error, scope)
    else:
        name = exchange.of(scope).request_id
        log.error("unexpected error in %s", exchange.template_of(scope), exc_info=error)
        known = ApiError("internal", f"Something went wrong here. Its request id is {name}.")
    problem = Problem(
        code=known.code,
        message=clean(str(known), MESSAGE_LENGTH),
        field=known.field and clean(known.field, FIELD_LENGTH),
        request_id=exchange.of(scope).request_id,
    )
    return Response(
        ProblemAnswer(error=problem).model_dump_json(),
        status_code=known.status,
        headers=known.headers,
        media_type="application/json",
    )


def _of_validation(error: RequestValidationError, scope: Scope) -> ApiError:
    problems = error.errors()
    malformed = next((row for row in problems if row["type"] == "json_invalid"), None)
    if malformed is not None:
        reason, place = malformed["ctx"]["error"], malformed["loc"][-1]
        return ApiError("bad_json", f"The body is not JSON: {reason} (character {place}).")
    context = scope.get("fastapi", {}).get("effective_route_context")
    dependant = getattr(context or scope.get("route"), "dependant", None)
    message, field = sentence(problems, error.body, dependant)
    return ApiError("bad_request", message, field=field)


def _of_status(error: HTTPException, scope: Scope) -> ApiError:
    """What the framework raises by status alone."""
    status, method = error.status_code, clean(scope["method"], 20)
    if status == 404:
        message = f"There is no {method} {clean(exchange.path_of(scope), 80)}."
    elif status == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{method} is not possible here. Possible: {allowed}."
    elif isinstance(error.__cause__, ValueError | RecursionError):
        # The framework's only words for all that json.loads can raise besides a syntax error.
        message = "The body is not JSON that can be read: a number is too long, or it is too deep."
        return ApiError("bad_json", message)
    else:
        message = str(error.detail)
    if status == 400:
        code = "bad_request"
    else:
        code = CODE_OF_STATUS.get(status, "bad_request" if status < 500 else "internal")
    return ApiError(code, message, status=status, headers=error.headers)


class Answered:
    """Turns whatever is raised further in, by a middleware or a route, into an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            answer = answer_to(error, scope)
            if exchange.of(scope).status is not None:
                raise  # half of an answer is out: breaking off is the only way to say so
            await answer(scope, receive, send)


async def _handle(request: Request, error: Exception) -> Response:
    return answer_to(error, request.scope)


def install(app: FastAPI) -> None:
    """Answer errors of routes in the service's shape instead of the framework's.

    Unexpected exceptions are left to `Answered`: the framework's own place for them lies outside
    every middleware, where the answer would miss its headers, its log line and its count.
    """
    for kind in (RequestValidationError, HTTPException, ItemlmError):
        app.add_exception_handler(kind, _handle)


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Error answers of a route for OpenAPI, by status.

    Raises:
        KeyError: if a code is not in the table.
    """
    lines: dict[int, list[str]] = {}
    for code in codes:
        for status in CODES[code].statuses:
            lines.setdefault(status, []).append(f"`{code}`: {CODES[code].meaning}")
    return {
        status: {"model": ProblemAnswer, "description": " ".join(lines[status])}
        for status in sorted(lines)
    }
