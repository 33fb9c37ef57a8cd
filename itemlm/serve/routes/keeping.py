"""Routes that keep: events, items, people, models."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import Discriminator, Tag
from starlette.requests import Request

from itemlm.serve.http import exchange
from itemlm.serve.routes.common import (
    NAMED,
    WITH_BODY,
    ItemPath,
    UserPath,
    documented,
    served,
    written,
)
from itemlm.serve.schemas import (
    Event,
    Events,
    EventsAnswer,
    ForgottenAnswer,
    ItemAnswer,
    ItemPage,
    Items,
    ItemsAnswer,
    ModelsAnswer,
    PopularityAnswer,
    RemovedAnswer,
    UserAnswer,
)

router = APIRouter(prefix="/v1")


def _how_many(body: object) -> str:
    """Which of both bodies is meant, so that what is wrong is told of this one alone."""
    return "many" if isinstance(body, dict) and "events" in body else "one"


OneOrMany = Annotated[
    Annotated[Event, Tag("one")] | Annotated[Events, Tag("many")], Discriminator(_how_many)
]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=200)]
Idempotency = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="The same request sent twice with the same key counts once.",
    ),
]


@router.post(
    "/events", response_model=EventsAnswer, responses=documented(WITH_BODY), tags=["events"]
)
async def add_events(body: OneOrMany, request: Request, idempotency_key: Idempotency = None) -> Any:
    """Tell what happened: one event or many. They are on disk when the answer comes."""
    events = body.events if isinstance(body, Events) else [body]
    owner = exchange.of(request.scope).key_name or ""
    key = None if idempotency_key is None else f"{owner}:{idempotency_key}"
    return written(await served(request).add_events(events, key))


@router.post("/items", response_model=ItemsAnswer, responses=documented(WITH_BODY), tags=["items"])
async def put_items(body: Items, request: Request) -> Any:
    """Add items or change fields of known ones. Recommendations know them when the answer comes."""
    return written(await served(request).put_items(body.items))


@router.get("/items", response_model=ItemPage, responses=documented(NAMED), tags=["items"])
async def list_items(
    request: Request,
    limit: Limit = 100,
    cursor: Cursor = None,
    filter: Annotated[str | None, Query(max_length=2000)] = None,
) -> Any:
    """The catalog, page by page."""
    return written(await served(request).items(limit, cursor, filter))


@router.get(
    "/popularity/{item_id:path}",
    response_model=PopularityAnswer,
    responses=documented(NAMED),
    tags=["items"],
)
async def popularity(item_id: ItemPath, request: Request) -> Any:
    """How often an item was taken, by month."""
    return written(await served(request).popularity(item_id))


@router.get(
    "/items/{item_id:path}", response_model=ItemAnswer, responses=documented(NAMED), tags=["items"]
)
async def item(
    item_id: ItemPath,
    request: Request,
    model: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
) -> Any:
    """One item, with its fields and its Semantic ID."""
    return written(await served(request).item(item_id, model))


@router.delete(
    "/items/{item_id:path}",
    response_model=RemovedAnswer,
    responses=documented(NAMED),
    tags=["items"],
)
async def remove_item(item_id: ItemPath, request: Request) -> Any:
    """Recommend an item no more. Adding it again brings it back."""
    return written(await served(request).remove_item(item_id))


@router.get(
    "/users/{user_id:path}", response_model=UserAnswer, responses=documented(NAMED), tags=["people"]
)
async def user(
    user_id: UserPath, request: Request, limit: Limit = 100, cursor: Cursor = None
) -> Any:
    """What is kept of a person, newest first."""
    return written(await served(request).user(user_id, limit, cursor))


@router.delete(
    "/users/{user_id:path}",
    response_model=ForgottenAnswer,
    responses=documented(NAMED),
    tags=["people"],
)
async def forget(user_id: UserPath, request: Request) -> Any:
    """Delete everything that is kept of a person."""
    return written(await served(request).forget(user_id))


@router.get("/models", response_model=ModelsAnswer, responses=documented(), tags=["models"])
async def models(request: Request) -> Any:
    """All model versions, and which one is active."""
    return written(await served(request).models())


@router.post(
    "/models/rollback", response_model=ModelsAnswer, responses=documented(NAMED), tags=["models"]
)
async def rollback(request: Request) -> Any:
    """Let the version before answer again."""
    return written(await served(request).rollback())


@router.post(
    "/models/{name}/activate",
    response_model=ModelsAnswer,
    responses=documented(NAMED),
    tags=["models"],
)
async def activate(name: str, request: Request) -> Any:
    """Let a version answer from now on. It is loaded and warmed up first; nobody waits for it."""
    return written(await served(request).activate(name))
