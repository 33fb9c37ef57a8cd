"""The pages to browse: one item, the tree of Semantic IDs, the model versions side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from itemlm.serve.page.explore import Card, cards, history_ids
from itemlm.serve.page.look import Look
from itemlm.serve.page.state import PageState
from itemlm.serve.page.words import count
from itemlm.serve.schemas import (
    CodesAnswer,
    Id,
    ItemAnswer,
    ModelAnswer,
    ModelsAnswer,
    RecommendRequest,
    SimilarRequest,
)
from itemlm.types import ItemlmError

if TYPE_CHECKING:
    from itemlm.serve.service import Service

NEIGHBORS = 8
COMPARED_PLACES = 10
LONGEST_PREFIX = 16
MANY_BRANCHES = 32  # that are shown in full; the smaller ones as their codes
T = TypeVar("T")


async def _or_sentence(question: Awaitable[T]) -> T | str:
    """An answer, or the sentence that says why there is none."""
    try:
        return await question
    except ItemlmError as error:
        return str(error)


# --- One item -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Neighbors:
    """Items like one item, or the sentence that says why there are none."""

    heading: str
    cards: list[Card]
    problem: str | None


async def neighbors(
    service: Service, look: Look, item_id: Id, by: Literal["text", "behavior"], state: PageState
) -> Neighbors:
    """What lies close to an item, in words or in behavior."""
    heading = "Alike in words" if by == "text" else "Recommended after it"
    request = SimilarRequest(
        item_id=item_id, k=NEIGHBORS, by=by, model=state.model or None, fields=look.fields
    )
    answer = await _or_sentence(service.similar(request))
    if isinstance(answer, str):
        return Neighbors(heading, [], answer)
    return Neighbors(heading, cards(look, answer.items), None)


async def popularity_chart(service: Service, item_id: Id) -> dict[str, Any] | None:
    """How often an item was taken, for a chart; None where nothing is known."""
    answer = await _or_sentence(service.popularity(item_id))
    if isinstance(answer, str) or not answer.periods:
        return None
    return {
        "kind": "time",
        "x": {"label": "Period from", "values": answer.periods},
        "series": [{"label": "Times taken", "values": answer.counts}],
    }


def listed_fields(look: Look, item: ItemAnswer) -> list[tuple[str, Any]]:
    """All fields but the title, with those that have a value first."""
    rows = [(name, value) for name, value in item.fields.items() if name != look.title]
    return sorted(rows, key=lambda row: row[1] in (None, "", []))


# --- The tree -------------------------------------------------------------------------------------


def prefix_of(text: str) -> list[int]:
    """Codes as they stand in a URL, `12.7.3`; what is not a number ends them."""
    prefix = []
    for part in text.split(".")[:LONGEST_PREFIX]:
        if not (part.isascii() and part.isdigit() and len(part) < 10):
            break
        prefix.append(int(part))
    return prefix


def written(prefix: Sequence[int]) -> str:
    """Codes as a URL holds them."""
    return ".".join(map(str, prefix))


async def models_with_codes(service: Service, models: ModelsAnswer) -> list[str]:
    """Loaded models that write Semantic IDs. Others would have to be loaded to know."""
    names = [model.name for model in models.models if model.loaded]
    answers = await asyncio.gather(*(_or_sentence(service.codes([], name)) for name in names))
    return [
        name for name, answer in zip(names, answers, strict=True) if isinstance(answer, CodesAnswer)
    ]


# --- Models ---------------------------------------------------------------------------------------


def curves(card: dict[str, Any]) -> dict[str, Any] | None:
    """Validation by epoch for a chart, or the loss where nothing was validated; else None."""
    history = card.get("history")
    rows = [row for row in history if isinstance(row, dict)] if isinstance(history, list) else []
    validated = {name for row in rows for name in row if name.startswith("validation")}
    names = sorted(validated) or ["loss"]
    kept = [row for row in rows if "epoch" in row and any(_is_number(row.get(n)) for n in names)]
    if len(kept) < 2:
        return None
    return {
        "kind": "number",
        "x": {"label": "Epoch", "values": [row["epoch"] for row in kept]},
        "series": [
            {
                "label": name,
                "values": [row[name] if _is_number(row.get(name)) else None for row in kept],
            }
            for name in names
        ],
    }


def facts(card: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a card tells besides the history: single values, and metrics one by one."""
    rows: list[tuple[str, Any]] = []
    for name, value in card.items():
        if name == "history":
            continue
        if isinstance(value, dict):
            rows += [
                (f"{name} {part}", number)
                for part, number in value.items()
                if isinstance(number, str | int | float | bool | None)
            ]
        else:
            rows.append((name, value))
    return rows


@dataclass(frozen=True, slots=True)
class Compared:
    """Two models side by side.

    Attributes:
        rows: name, value of the first, value of the second.
        shared: items in both slates for the current history; None where one has no answer.
        places: length of the slates.
        problem: why there is no overlap to tell.
    """

    first: ModelAnswer
    second: ModelAnswer
    rows: list[tuple[str, Any, Any]]
    shared: int | None
    places: int
    problem: str | None


async def compared(service: Service, state: PageState, names: tuple[str, str]) -> Compared | None:
    """Two models side by side; None unless both exist and differ."""
    known = {model.name for model in (await service.models()).models}
    if names[0] == names[1] or not known.issuperset(names):
        return None
    history = await history_ids(service, state)
    answers = await asyncio.gather(
        *(
            _or_sentence(
                service.recommend(RecommendRequest(history=history, k=COMPARED_PLACES, model=name))
            )
            for name in names
        )
    )
    # Only now, since models that were asked are loaded and can tell more of themselves.
    by_name = {model.name: model for model in (await service.models()).models}
    first, second = by_name[names[0]], by_name[names[1]]
    problem = next((answer for answer in answers if isinstance(answer, str)), None)
    slates = [
        {item.item_id for item in answer.items} for answer in answers if not isinstance(answer, str)
    ]
    return Compared(
        first=first,
        second=second,
        rows=_rows(first, second),
        shared=len(slates[0] & slates[1]) if problem is None else None,
        places=COMPARED_PLACES,
        problem=problem,
    )


def _rows(first: ModelAnswer, second: ModelAnswer) -> list[tuple[str, Any, Any]]:
    def told(model: ModelAnswer) -> dict[str, Any]:
        basics = {
            "paper": model.paper,
            "items": count(model.items),
            "parameters": count(model.parameters),
        }
        return (
            basics | dict(facts(model.card)) | {f"config {k}": v for k, v in model.config.items()}
        )

    left, right = told(first), told(second)
    names = dict.fromkeys([*left, *right])
    return [(name, left.get(name), right.get(name)) for name in names]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
