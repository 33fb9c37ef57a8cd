"""Routes for whoever watches the service."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from itemlm.serve.http.errors import ApiError, responses
from itemlm.serve.routes.common import documented, served, written
from itemlm.serve.schemas import Answer, HealthAnswer

router = APIRouter(tags=["health"])


class Ready(Answer):
    """A service that can answer."""

    status: str = "ok"


@router.get("/healthz", response_model=Ready)
async def healthz() -> Any:
    """Whether the process is alive."""
    return written(Ready())


@router.get("/readyz", response_model=Ready, responses=responses("draining", "storage_unavailable"))
async def readyz(request: Request) -> Any:
    """Whether requests should be sent here: a model is loaded and the store answers."""
    if served(request).draining:
        raise ApiError("draining", "The service is about to stop.", retry_after=5)
    await served(request).ping()
    return written(Ready())


@router.get("/metrics", response_class=Response, responses=documented())
def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    return served(request).metrics.scrape()


@router.get("/v1/health", response_model=HealthAnswer, responses=documented())
async def health(request: Request) -> Any:
    """How the service is, in numbers."""
    return written(await served(request).health())
