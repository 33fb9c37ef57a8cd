"""Calls: every request that a service answers, described once for both clients.

A function here takes what a caller gives and returns a `Call`: method, path, body, and the model of
the answer. It sends nothing. Requests are checked here already, so that a misspelled setting gets
its sentence without a way over the network.

Requests take either a model of `itemlm.serve.schemas` or its fields by name:
`recommend(RecommendRequest(user_id="ann"))` or `recommend(user_id="ann")`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from itemlm.serve.schemas import (
    Event,
    Events,
    EventsAnswer,
    ExplainAnswer,
    ForgottenAnswer,
    HealthAnswer,
    ItemAnswer,
    ItemBody,
    ItemPage,
    Items,
    ItemsAnswer,
    ModelsAnswer,
    PopularityAnswer,
    RankRequest,
    RecommendAnswer,
    RecommendRequest,
    RemovedAnswer,
    SearchRequest,
    SimilarRequest,
    UserAnswer,
)
from itemlm.types import DataError, ItemId, UnknownName, UserId

A = TypeVar("A", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Call(Generic[A]):
    """A request that was not sent yet.

    Attributes:
        method: of HTTP.
        path: below the service's address, with ids already written for an address.
        answer: the model of the answer.
        body: JSON; None where there is none.
        params: of the query.
        repeatable: whether sent twice it does what it does once.
    """

    method: str
    path: str
    answer: type[A]
    body: str | None = None
    params: Mapping[str, str | int] = field(default_factory=dict)
    repeatable: bool = True


# --- Slates ---------------------------------------------------------------------------------------


def recommend(request: RecommendRequest | None = None, /, **fields: Any) -> Call[RecommendAnswer]:
    """Recommend items to a person, a visit, a history, or for a wish in words."""
    return _asked("recommend", _made(RecommendRequest, request, fields))


def similar(item_id: ItemId, **fields: Any) -> Call[RecommendAnswer]:
    """Items like one item: alike in words, or with `by="behavior"` recommended after it."""
    return _asked("similar", _made(SimilarRequest, None, {"item_id": item_id, **fields}))


def search(text: str, **fields: Any) -> Call[RecommendAnswer]:
    """Items for words; the last word may be unfinished."""
    return _asked("search", _made(SearchRequest, None, {"text": text, **fields}))


def rank(items: Iterable[ItemId], **fields: Any) -> Call[RecommendAnswer]:
    """Put a given list of items in order, for the asker that `fields` describe."""
    return _asked("rank", _made(RankRequest, None, {"items": list(items), **fields}))


def explain(recommendation_id: str) -> Call[ExplainAnswer]:
    """Why the items of an earlier answer were recommended."""
    path = f"v1/explain/{_in_path(recommendation_id)}"
    return Call(method="GET", path=path, answer=ExplainAnswer)


# --- Events, items, people ------------------------------------------------------------------------


def add_events(events: Iterable[Event | Mapping[str, Any]]) -> Call[EventsAnswer]:
    """Tell what happened, up to 1,000 events at a time. They are on disk when this returns.

    Events without an id get one here, so that a repeated request counts them once.
    """
    made = [event if isinstance(event, Event) else _made(Event, None, event) for event in events]
    named = [
        event
        if event.event_id is not None
        else event.model_copy(update={"event_id": uuid.uuid4().hex})
        for event in made
    ]
    return _sent("POST", "v1/events", _made(Events, None, {"events": named}), EventsAnswer)


def put_items(items: Iterable[ItemBody | Mapping[str, Any]]) -> Call[ItemsAnswer]:
    """Add items or change fields of known ones, up to 1,000 at a time.

    Fields that are not given keep their values; a field that is None is emptied. Recommendations
    know the items when this returns.
    """
    made = [item if isinstance(item, ItemBody) else _made(ItemBody, None, item) for item in items]
    return _sent("POST", "v1/items", _made(Items, None, {"items": made}), ItemsAnswer)


def item_page(limit: int, cursor: str | None, filter: str | None) -> Call[ItemPage]:
    """A page of the catalog, from which `items` of a client makes one iterator."""
    params = _given(limit=limit, cursor=cursor, filter=filter)
    return Call(method="GET", path="v1/items", answer=ItemPage, params=params)


def item(item_id: ItemId, model: str | None = None) -> Call[ItemAnswer]:
    """One item, with its fields and the Semantic ID that a model writes for it."""
    path = f"v1/items/{_in_path(item_id)}"
    return Call(method="GET", path=path, answer=ItemAnswer, params=_given(model=model))


def popularity(item_id: ItemId) -> Call[PopularityAnswer]:
    """How often an item was taken, by month."""
    path = f"v1/popularity/{_in_path(item_id)}"
    return Call(method="GET", path=path, answer=PopularityAnswer)


def remove_item(item_id: ItemId) -> Call[RemovedAnswer]:
    """Recommend an item no more. Adding it again brings it back."""
    return Call(method="DELETE", path=f"v1/items/{_in_path(item_id)}", answer=RemovedAnswer)


def user(user_id: UserId, limit: int = 100, cursor: str | None = None) -> Call[UserAnswer]:
    """What is kept of a person, newest first; `cursor` of the answer leads to what is older."""
    params = _given(limit=limit, cursor=cursor)
    return Call(
        method="GET", path=f"v1/users/{_in_path(user_id)}", answer=UserAnswer, params=params
    )


def forget(user_id: UserId) -> Call[ForgottenAnswer]:
    """Delete everything that is kept of a person."""
    return Call(method="DELETE", path=f"v1/users/{_in_path(user_id)}", answer=ForgottenAnswer)


# --- Models and the state of the service ----------------------------------------------------------


def models() -> Call[ModelsAnswer]:
    """All model versions, and which one is active."""
    return Call(method="GET", path="v1/models", answer=ModelsAnswer)


def activate(name: str) -> Call[ModelsAnswer]:
    """Let a version answer from now on."""
    path = f"v1/models/{_in_path(name)}/activate"
    return Call(method="POST", path=path, answer=ModelsAnswer)


def rollback() -> Call[ModelsAnswer]:
    """Let the version before answer again. Never repeated: twice leads back to where it began."""
    return Call(method="POST", path="v1/models/rollback", answer=ModelsAnswer, repeatable=False)


def health() -> Call[HealthAnswer]:
    """How the service is, in numbers."""
    return Call(method="GET", path="v1/health", answer=HealthAnswer)


# --- Inside ---------------------------------------------------------------------------------------


def _asked(name: str, request: BaseModel) -> Call[RecommendAnswer]:
    return _sent("POST", f"v1/{name}", request, RecommendAnswer)


def _sent(method: str, path: str, request: BaseModel, answer: type[A]) -> Call[A]:
    """A call with a body. Only what was set is sent: a default would override a scenario."""
    body = request.model_dump_json(exclude_unset=True)
    return Call(method=method, path=path, body=body, answer=answer)


def _made(kind: type[B], request: B | None, fields: Mapping[str, Any]) -> B:
    """A request from its model or from its fields.

    Raises:
        UnknownName: for a field that there is not.
        DataError: for a value that cannot be.
    """
    if request is not None and fields:
        raise DataError(
            f"give a {kind.__name__} or its fields by name, not both ({', '.join(fields)})."
        )
    try:
        return request if request is not None else kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UnknownName(f"field of {kind.__name__}", where, kind.model_fields) from error
        received = repr(first["input"])
        received = received if len(received) <= 80 else received[:77] + "..."
        raise DataError(
            f"{kind.__name__}: {where}: {first['msg']}; received {received}."
        ) from error


def _given(**params: str | int | None) -> dict[str, str | int]:
    """Parameters of a query, without those that are None."""
    return {name: value for name, value in params.items() if value is not None}


def _in_path(name: ItemId | UserId) -> str:
    """An id as one part of a path, whatever characters it has."""
    text = quote(str(name), safe="")
    if not text:
        raise DataError("an id is empty, but one is needed here.")
    # "." and ".." alone would be taken for steps through folders.
    return text.replace(".", "%2E") if not text.strip(".") else text
