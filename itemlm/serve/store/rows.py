"""What a store takes and gives: one small class per kind of row.

All ids are text: person 5 and person "5" are the same. All times are whole microseconds since 1970,
UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from itemlm.types import ItemlmError

Period = Literal["day", "week", "month"]
Cursor = tuple[int, int]  # time and number of an event

IMPRESSION = "impression"  # shown, not taken: never part of a history or a count
MICROSECONDS_A_DAY = 86_400_000_000


class StoreUnavailable(ItemlmError):
    """The store cannot be read or written now."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened."""

    event_id: str
    user_id: str | None
    session_id: str | None
    item_id: str
    kind: str
    at: int
    value: float | None = None
    recommendation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A place in an answer, counted from 1."""

    item_id: str
    place: int
    score: float | None = None
    propensity: float | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer as it was given, with all that is needed to explain it later."""

    recommendation_id: str
    at: int
    user_id: str | None
    session_id: str | None
    model: str
    source: str
    scenario: str | None
    experiment: str | None
    group: str | None
    request_json: str
    history: list[str]
    items: list[Shown]


class Shadow(NamedTuple):
    """What another model would have answered."""

    recommendation_id: str
    model: str
    items: list[str]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class ItemChange:
    """The fields of an item as they are from this revision on; None says that it was removed."""

    revision: int
    item_id: str
    fields_json: str | None
    at: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, of which only the hash is kept."""

    name: str
    hash: str
    scopes: tuple[str, ...]
    created_at: int
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class Activation:
    """From this time on the model answers."""

    model: str
    at: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows of a person were deleted."""

    events: int
    recommendations: int


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """How much a store holds; `users` are people with events."""

    events: int
    recommendations: int
    users: int
