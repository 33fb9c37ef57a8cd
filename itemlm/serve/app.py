"""The application: routes and page around a service, behind the HTTP layer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from itemlm import __version__
from itemlm.serve.http.keys import KeyRing
from itemlm.serve.http.protect import protect
from itemlm.serve.http.settings import HttpSettings
from itemlm.serve.http.shedding import Lateness, Shedding
from itemlm.serve.page.reference import reference_router
from itemlm.serve.page.routes import page_router
from itemlm.serve.routes import asking, health, keeping
from itemlm.serve.service import Service

COMPRESSED_FROM = 4096  # bytes: pages, scripts and the map, for browsers that ask for it
UPKEEP_EVERY = 300.0  # seconds between looks at what has become old


def create_app(service: Service, http: HttpSettings | None = None) -> FastAPI:
    """An ASGI application over a service, which it stops when it stops itself."""
    ring, lateness = KeyRing(service.store.keys), Lateness()
    budget = service.settings.limits.budget_ms / 1000

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(task) for task in (_upkeep(service), lateness.watch())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(service.stop)

    app = FastAPI(
        title="itemlm",
        version=__version__,
        summary="Recommendations, search and explanations over one catalog.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    for part in (asking, keeping, health):
        app.include_router(part.router)

    app.include_router(page_router(service, ring), include_in_schema=False)
    app.include_router(reference_router(app))
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM, compresslevel=5)
    protect(app, http or HttpSettings(), ring, service.metrics)

    def waiting() -> float:
        late = lateness.seconds
        return max(service.overload(), late if late > budget else 0.0)

    app.add_middleware(Shedding, waiting=waiting, rejected=service.metrics.rejected)
    return app


async def _upkeep(service: Service) -> None:
    """What has become old is deleted, and popularity is counted anew."""
    while True:
        await asyncio.sleep(UPKEEP_EVERY)
        await service.upkeep()
