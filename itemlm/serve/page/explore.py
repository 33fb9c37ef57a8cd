"""The first page: a history, the dials, and what one or two models make of them."""

from __future__ import annotations

import asyncio
import json
import random
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from itemlm.serve.http.errors import ApiError
from itemlm.serve.page.look import Look, found_item
from itemlm.serve.page.state import PageState
from itemlm.serve.page.words import plural, sentence, shares
from itemlm.serve.rules.tree import RuleError
from itemlm.serve.schemas import (
    Id,
    RecommendAnswer,
    Recommended,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
)
from itemlm.types import ItemlmError

if TYPE_CHECKING:
    from itemlm.serve.service import Service

SUGGESTIONS = 8
SURPRISES = 3
MOST_ITEMS = 1000
LOADED = 20  # latest items of a person that is loaded


@dataclass(frozen=True, slots=True)
class Card:
    """An item as it is shown.

    Attributes:
        length: of its score's bar, 8 to 100; None where there is no score.
        elsewhere: its place in the slate beside, from 1; None where it is not there.
    """

    item_id: Id
    title: str
    line: str
    tone: str
    score: float | None = None
    length: int | None = None
    why: str | None = None
    pinned: bool = False
    elsewhere: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A slate as it is shown, or the sentence that says why there is none."""

    model: str
    answer: RecommendAnswer | None = None
    cards: list[Card] = field(default_factory=list)
    problem: str | None = None
    problem_field: str | None = None


def cards(
    look: Look, items: Sequence[Recommended], places: dict[Id, int] | None = None
) -> list[Card]:
    """Items of an answer as cards; `places` are those of the slate beside."""
    return [
        Card(
            item_id=item.item_id,
            title=look.title_of(item.item_id, item.fields),
            line=look.line_of(item.fields),
            tone=look.tone_of(item.fields),
            score=item.score,
            length=length,
            why=item.why.text if item.why else None,
            pinned=item.pinned,
            elsewhere=(places or {}).get(item.item_id),
        )
        for item, length in zip(items, shares(item.score for item in items), strict=True)
    ]


def request_of(look: Look, state: PageState, history: Sequence[Id], model: str) -> RecommendRequest:
    """What the service is asked for. Settings at their defaults are not set."""
    asked: dict[str, Any] = {"history": list(history), "k": state.k, "fields": look.fields}
    if state.user:
        asked["user_id"] = state.user
        if not history:
            del asked["history"]
    if model:
        asked["model"] = model
    if expression := look.expression(state):
        asked["filter"] = expression
    if state.diversity:
        asked["diversity"] = state.diversity
    if state.novelty:
        asked["novelty"] = state.novelty
    if state.again:
        asked["exclude_seen"] = False
    if not state.plain:
        asked["explain"] = True
    return RecommendRequest(**asked)


def curl_of(request: RecommendRequest, address: str, keyed: bool) -> str:
    """The same request as a line for a terminal; the key is named, never written out."""
    body = json.dumps(request.model_dump(exclude_unset=True), ensure_ascii=False)
    parts = ["curl", shlex.quote(f"{address}/v1/recommend")]
    parts += ["-H", "'Content-Type: application/json'"]
    if keyed:
        parts += ["-H", '"Authorization: Bearer $ITEMLM_KEY"']
    return " ".join([*parts, "-d", shlex.quote(body)])


async def slates(
    service: Service, look: Look, state: PageState, history: Sequence[Id]
) -> list[Shown]:
    """The slate of one model, or those of two, with marks for what both have."""
    models = [state.model] + ([state.beside] if state.beside else [])
    requests = [request_of(look, state, history, model) for model in models]
    answers = await asyncio.gather(*(_asked(service, request) for request in requests))
    places = [
        {}
        if isinstance(answer, ItemlmError)
        else {item.item_id: place for place, item in enumerate(answer.items, start=1)}
        for answer in answers
    ]
    shown = []
    for place, (model, answer) in enumerate(zip(models, answers, strict=True)):
        if isinstance(answer, ItemlmError):
            named = "filter" if isinstance(answer, RuleError) else getattr(answer, "field", None)
            shown.append(Shown(model, problem=str(answer), problem_field=named))
            continue
        beside = places[1 - place] if len(models) == 2 else None
        shown.append(Shown(answer.model, answer, cards(look, answer.items, beside)))
    return shown


async def _asked(service: Service, request: RecommendRequest) -> RecommendAnswer | ItemlmError:
    try:
        return await service.recommend(request)
    except ItemlmError as error:
        return error


def told(shown: Sequence[Shown]) -> str:
    """What came out, for people who listen to the page."""
    parts = [
        f"{plural(len(slate.cards), 'recommendation')} by {slate.model}"
        if slate.problem is None
        else f"no answer: {slate.problem}"
        for slate in shown
    ]
    text = sentence(" and ".join(parts))
    if len(shown) == 2 and not any(slate.problem for slate in shown):
        text += f"; {in_both(shown)} in both"
    return text if text.endswith(".") else f"{text}."


def in_both(shown: Sequence[Shown]) -> int:
    """How many items two slates share."""
    return sum(card.elsewhere is not None for card in shown[0].cards)


async def suggestions(service: Service, look: Look, text: str) -> list[Card]:
    """Items for unfinished words."""
    if not text:
        return []
    request = SearchRequest(text=text, k=SUGGESTIONS, fields=look.fields)
    return cards(look, (await service.search(request)).items)


async def surprise(service: Service, state: PageState) -> PageState:
    """A small history that hangs together: an item by chance, and some that are like it."""
    chance = random.SystemRandom()
    try:
        ids = (await service.catalog_map(state.model or None)).item_ids
    except ItemlmError:  # a catalog without texts has no map
        ids = [item.item_id for item in (await service.items(limit=MOST_ITEMS)).items]
    if not ids:
        return state
    first = chance.choice(ids)
    try:
        near = await service.similar(SimilarRequest(item_id=first, k=3 * SURPRISES))
    except ItemlmError:
        near = await service.similar(SimilarRequest(item_id=first, k=3 * SURPRISES, by="behavior"))
    others = [item.item_id for item in near.items]
    chosen = [first, *chance.sample(others, min(SURPRISES - 1, len(others)))]
    return state.changed(history=tuple(map(str, chosen)), user="", q="")


async def visit(service: Service, state: PageState, user: str) -> PageState:
    """The latest items of a person as the history.

    Raises:
        ApiError: `not_found` if nothing is known of them.
    """
    answer = await service.user(user, limit=LOADED)
    stored = [event.item_id for event in reversed(answer.events)]
    items = [str(item) for item in [*answer.trained_on, *stored]]
    if not items:
        raise ApiError("not_found", f"Nothing is known of a user '{user}'.", field="user")
    kept = list(dict.fromkeys(reversed(items)))[:LOADED]
    return state.changed(history=tuple(reversed(kept)), user=user, q="")


async def history_ids(service: Service, state: PageState) -> list[Id]:
    """The history with ids as the catalog writes them, numbers as numbers."""

    async def one(text: str) -> Id:
        try:
            return (await found_item(service, text)).item_id
        except ItemlmError:
            return text

    return list(await asyncio.gather(*map(one, state.history)))
