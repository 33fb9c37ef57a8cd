"""What all routes share: whose service it is, and how an answer is written."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from itemlm.serve.http.errors import responses
from itemlm.serve.schemas import ID_PATTERN
from itemlm.serve.service import Service

ALWAYS = responses(
    *("bad_request", "no_key", "unknown_key", "missing_scope", "foreign_origin", "rate_limited"),
    *("overloaded", "internal", "not_ready", "draining", "storage_unavailable"),
)
WITH_BODY = responses("bad_json", "bad_filter", "too_large", "unsupported_media_type", "slow_body")
NAMED = responses("not_found")


def served(request: Request) -> Service:
    """Whose routes these are; no dependency of FastAPI's, which would cost more than the routes."""
    service: Service = request.app.state.service
    return service


ItemPath = Annotated[
    str, Path(pattern=ID_PATTERN, min_length=1, max_length=256, examples=["heat-1995"])
]
UserPath = Annotated[
    str, Path(pattern=ID_PATTERN, min_length=1, max_length=256, examples=["viewer-0001"])
]


def written(answer: BaseModel, status: int = 200) -> Any:
    """An answer as JSON, without a second validation of what we made ourselves."""
    return Response(answer.model_dump_json(), status_code=status, media_type="application/json")


def documented(*kinds: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """Several sets of error answers as one, for OpenAPI."""
    out: dict[int | str, dict[str, Any]] = {}
    for kind in (ALWAYS, *kinds):
        for status, answer in kind.items():
            before = out.get(status)
            both = [before["description"]] if before else []
            out[status] = {**answer, "description": " ".join([*both, answer["description"]])}
    return out
