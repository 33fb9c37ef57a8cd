"""What goes over the wire: every request and every answer of the service, as pydantic models.

Unknown keys are refused, so that a misspelled setting is never silently without effect. Limits that
protect the service stand here where they are the same for all, and in `ServiceSettings` where an
operator decides.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
)

MAX_HISTORY = 1000
MAX_LIST = 1000  # of ids in an allow, block or rank list
MAX_BATCH = 1000  # events or items in one request
MAX_FIELDS = 64  # of an item, or named in a request

# NUL cannot be stored by PostgreSQL.
Text = Annotated[StrictStr, Field(pattern=r"^[^\x00]*$")]
Name = Annotated[Text, Field(min_length=1, max_length=100)]
# A line break in an id would end the path in which it stands.
ID_PATTERN = r"^[^\x00-\x1f\x7f]*$"
IdText = Annotated[StrictStr, Field(pattern=ID_PATTERN, min_length=1, max_length=256)]
IdNumber = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
Id = IdText | IdNumber
KnownId = StrictStr | StrictInt  # in answers: whatever the catalog and the store hold
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Value = (
    StrictStr
    | bool
    | StrictInt
    | StrictFloat
    | list[StrictStr]
    | list[StrictInt]
    | list[StrictFloat]
    | None
)


Source = Literal[
    "model",
    "model+search",
    "search",
    "text",
    "behavior",
    "ranked",
    "item_to_item",
    "popularity",
    "catalog",
]


class Body(BaseModel):
    """A request: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Answer(BaseModel):
    """What the service says."""

    model_config = ConfigDict(frozen=True)


# --- Recommending ---------------------------------------------------------------------------------


class Boost(Body):
    """Items that meet a condition are moved up or down."""

    when: Annotated[Text, Field(max_length=1000, examples=["brand == 'Acme'"])]
    by: Annotated[
        Number, Field(gt=0, le=100, description="Factor on relevance: 2 doubles, 0.5 halves.")
    ]


class Pin(Body):
    """An item that gets a fixed place."""

    item_id: Id
    place: Annotated[int, Field(ge=1, le=1000, description="1 is the first place.")] = 1


class Shaping(Body):
    """What may be recommended and how a slate is shaped; scenarios save these settings."""

    k: Annotated[int | None, Field(ge=1, description="Places in the slate; 10 if not given.")] = (
        None
    )
    model: Annotated[Name | None, Field(description="A model other than the active one.")] = None
    filter: Annotated[
        Text | None,
        Field(
            max_length=2000,
            description="Only items that meet this expression over item fields.",
            examples=["price < 50 and 'drama' in genres"],
        ),
    ] = None
    boost: Annotated[list[Boost], Field(max_length=20)] = []
    pin: Annotated[list[Pin], Field(max_length=20)] = []
    max_per: Annotated[
        dict[Name, Annotated[int, Field(ge=1)]],
        Field(
            max_length=5,
            description="At most so many items per value of a field.",
            examples=[{"brand": 2}],
        ),
    ] = {}
    exclude_seen: Annotated[
        bool | None, Field(description="Leave out the items of the history; true if not given.")
    ] = None
    diversity: Annotated[
        Share | None, Field(description="0: as relevant as can be; 1: as different as can be.")
    ] = None
    novelty: Annotated[
        Share | None,
        Field(description="0: no care for popularity; 1: the least popular of the relevant."),
    ] = None
    explore: Annotated[
        Share | None,
        Field(description="Share of chance in the order; each item's probability is logged."),
    ] = None
    fields: Annotated[
        list[Name], Field(max_length=MAX_FIELDS, description="Item fields to return.")
    ] = []
    explain: Annotated[bool | None, Field(description="Say why each item was recommended.")] = None


class Asker(Body):
    """Who asks, as far as is known."""

    user_id: Annotated[
        Id | None, Field(description="Their stored events are the history, unless one is given.")
    ] = None
    session_id: Annotated[Id | None, Field(description="A visitor without an account.")] = None
    history: Annotated[
        list[Id] | None,
        Field(
            max_length=MAX_HISTORY,
            description="Item ids, oldest first; nothing of it is stored as history.",
        ),
    ] = None
    text: Annotated[Text | None, Field(max_length=500, description="A wish in words.")] = None


class RecommendRequest(Asker, Shaping):
    """What to recommend, and to whom."""

    scenario: Annotated[Name | None, Field(description="Settings saved under this name.")] = None
    only: Annotated[list[Id] | None, Field(max_length=MAX_LIST, description="Allow list.")] = None
    exclude: Annotated[list[Id], Field(max_length=MAX_LIST, description="Block list.")] = []
    cursor: Annotated[
        Text | None, Field(max_length=200, description="Of the last answer: what comes after it.")
    ] = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"history": ["the-godfather-1972", "heat-1995"], "k": 5, "fields": ["title"]},
                {"user_id": "viewer-0001", "k": 5, "filter": "year >= 1990", "explain": True},
            ]
        }
    )


class SimilarRequest(Body):
    """Items like one item."""

    item_id: Id
    k: Annotated[int, Field(ge=1)] = 10
    by: Annotated[
        Literal["text", "behavior"],
        Field(description="Alike in words, or recommended after it by the model."),
    ] = "text"
    model: Name | None = None
    filter: Annotated[Text | None, Field(max_length=2000)] = None
    exclude: Annotated[list[Id], Field(max_length=MAX_LIST)] = []
    fields: Annotated[list[Name], Field(max_length=MAX_FIELDS)] = []


class SearchRequest(Body):
    """Items for words."""

    text: Annotated[Text, Field(max_length=500, examples=["gangster family"])]
    k: Annotated[int, Field(ge=1)] = 10
    by: Annotated[
        Literal["words", "meaning", "both"],
        Field(description="The words themselves (the last may be unfinished), vectors, or both."),
    ] = "both"
    filter: Annotated[Text | None, Field(max_length=2000)] = None
    fields: Annotated[list[Name], Field(max_length=MAX_FIELDS)] = []


class RankRequest(Asker):
    """A list to be put in order."""

    items: Annotated[list[Id], Field(min_length=1, max_length=MAX_LIST)]
    model: Name | None = None
    fields: Annotated[list[Name], Field(max_length=MAX_FIELDS)] = []


class Because(Answer):
    """A piece of evidence for a recommendation: an item of the history."""

    item_id: KnownId
    title: str
    shared: Annotated[
        dict[str, list[str]], Field(description="What both items have in common, by field.")
    ] = {}
    similarity: Annotated[float | None, Field(description="Cosine of their text vectors.")] = None
    place_without: Annotated[
        int | None,
        Field(description="Place in the slate without this item in the history; null if none."),
    ] = None


class Why(Answer):
    """Why an item was recommended."""

    text: str
    because: list[Because] = []


class Recommended(Answer):
    """A place in a slate."""

    item_id: KnownId
    score: Annotated[
        float | None,
        Field(description="The model's; null for pinned items and lists without a model."),
    ]
    fields: dict[str, Any] | None = None
    why: Why | None = None
    pinned: bool = False
    propensity: Annotated[
        float | None,
        Field(description="Probability of this item at this place, where chance was asked for."),
    ] = None


class Fallback(Answer):
    """What answered instead of the model, and why."""

    to: Literal["search", "item_to_item", "popularity", "catalog"]
    reason: Literal["no_history", "model_error", "timeout"]


class Group(Answer):
    """The group of an experiment that a person is in; the same at every visit."""

    experiment: str
    group: str


class RecommendAnswer(Answer):
    """A slate."""

    recommendation_id: Annotated[
        str, Field(description="Give it with events, so that they count for this answer.")
    ]
    items: list[Recommended]
    model: Annotated[str, Field(description="Name of the model that was asked.")]
    source: Source
    fallback: Fallback | None = None
    scenario: str | None = None
    group: Group | None = None
    cursor: str | None = None
    notes: Annotated[
        list[str], Field(description="What the asker should know, such as ids that are unknown.")
    ] = []


class ExplainAnswer(Answer):
    """Why the items of an earlier answer were recommended."""

    recommendation_id: str
    model: str
    history: list[KnownId]
    items: list[Recommended]


# --- Events, items, users -------------------------------------------------------------------------


class Event(Body):
    """Something that happened."""

    event_id: Annotated[
        IdText | None,
        Field(description="An event with an id that is known is accepted and counted once."),
    ] = None
    user_id: Id | None = None
    session_id: Id | None = None
    item_id: Id
    kind: Annotated[Name, Field(examples=["view", "click", "purchase", "impression"])] = "view"
    timestamp: Annotated[
        datetime | None, Field(description="ISO 8601 or seconds since 1970; now if not given.")
    ] = None
    value: Annotated[Number | None, Field(description="A rating, a price, seconds watched.")] = None
    recommendation_id: Annotated[IdText | None, Field(description="The answer that led to it.")] = (
        None
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"event_id": "e-1", "user_id": "ann", "item_id": "heat-1995", "kind": "view"}
            ]
        }
    )

    @field_validator("timestamp")
    @classmethod
    def _in_range(cls, value: datetime | None) -> datetime | None:
        if value is not None and not 1970 <= value.year < 2200:
            raise ValueError("must lie between the years 1970 and 2200")
        return value


class Events(Body):
    """Many events."""

    events: Annotated[list[Event], Field(min_length=1, max_length=MAX_BATCH)]


class EventsAnswer(Answer):
    """What became of events; when this arrives, they are on disk."""

    accepted: int
    duplicates: int
    event_ids: list[str]


class ItemBody(BaseModel):
    """An item: its id, and any fields. Fields that are not given keep their values."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "item_id": "heat-2-2027",
                    "title": "Heat 2",
                    "genres": ["crime", "drama"],
                    "year": 2027,
                }
            ]
        },
    )
    __pydantic_extra__: dict[str, Value]

    item_id: Id


class Items(Body):
    """Many items."""

    items: Annotated[list[ItemBody], Field(min_length=1, max_length=MAX_BATCH)]


class ItemsAnswer(Answer):
    """What became of items."""

    added: int
    updated: int
    live: Annotated[bool, Field(description="Whether answers from now on know them.")]


class RemovedAnswer(Answer):
    """What became of an item that was to be removed."""

    item_id: KnownId
    removed: bool


class ItemAnswer(Answer):
    """An item."""

    item_id: KnownId
    fields: dict[str, Any]
    arrived: Annotated[bool, Field(description="Came after the model was trained.")]
    removed: bool = False
    codes: Annotated[
        list[int] | None, Field(description="Its Semantic ID, if the model writes such.")
    ] = None
    like: Annotated[
        list[KnownId],
        Field(description="For an arrived item: the known items that stand in for it."),
    ] = []


class ItemPage(Answer):
    """A page of the catalog."""

    items: list[ItemAnswer]
    cursor: str | None = None
    total: int


class StoredEvent(Answer):
    """An event as it is kept."""

    event_id: str
    item_id: KnownId
    kind: str
    timestamp: datetime
    value: float | None = None
    recommendation_id: str | None = None


class UserAnswer(Answer):
    """What is kept of a person, newest first."""

    user_id: KnownId
    events: list[StoredEvent]
    trained_on: Annotated[
        list[KnownId], Field(description="Items of the data that the service was started with.")
    ] = []
    cursor: str | None = None


class ForgottenAnswer(Answer):
    """What was deleted of a person."""

    user_id: KnownId
    events: int
    recommendations: int
    history_hidden: Annotated[
        bool, Field(description="Their part of the training data is no longer read.")
    ]


# --- Models and the state of the service ----------------------------------------------------------


class ModelAnswer(Answer):
    """A model version."""

    name: str
    paper: str
    active: bool
    loaded: bool
    items: int | None = None
    parameters: int | None = None
    card: Annotated[
        dict[str, Any], Field(description="Data, seed, seconds and metrics of its making.")
    ] = {}
    config: dict[str, Any] = {}


class Measured(Answer):
    """A figure of an evaluation, with its 95 % interval."""

    model: Annotated[str, Field(description="Name of the model in the report.")]
    mean: float
    low: float
    high: float


class Evaluation(Answer):
    """What `itemlm compare` found of these models on questions that they had not seen."""

    protocol: dict[str, str]
    findings: list[str]
    cautions: list[str]
    figures: Annotated[dict[str, list[Measured]], Field(description="By metric, the best first.")]


class ModelsAnswer(Answer):
    """All model versions."""

    active: str
    previous: Annotated[str | None, Field(description="What a rollback would activate.")]
    models: list[ModelAnswer]
    evaluation: Annotated[
        Evaluation | None, Field(description="Of the report that the models came with, if any.")
    ] = None


class Branch(Answer):
    """A way down the tree of Semantic IDs."""

    code: int
    items: int
    titles: Annotated[list[str], Field(description="Some of the items below it.")]


class CodesAnswer(Answer):
    """A node of the tree of Semantic IDs."""

    model: str
    prefix: list[int]
    items: int
    branches: list[Branch]
    leaves: Annotated[list[ItemAnswer], Field(description="The items below, if they are few.")] = []


class MapAnswer(Answer):
    """The catalog as points: items whose texts are alike lie close."""

    method: str
    item_ids: list[KnownId]
    titles: list[str]
    x: list[float]
    y: list[float]
    groups: Annotated[
        list[int], Field(description="Place in `names` of each item's group; -1 for none.")
    ]
    names: list[str]


class PopularityAnswer(Answer):
    """How often an item was taken, by period."""

    item_id: KnownId
    periods: Annotated[list[str], Field(description="First day of each period, ISO 8601.")]
    counts: list[int]


class HealthAnswer(Answer):
    """How the service is."""

    status: Literal["ready", "starting", "draining"]
    model: str | None
    items: int
    arrived: int
    seconds_up: float
    requests: int
    errors: int
    rejected: int
    fallbacks: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    queue: int
    events_stored: int


class Problem(Answer):
    """What went wrong."""

    code: Annotated[str, Field(description="Stable, for programs.", examples=["bad_filter"])]
    message: Annotated[str, Field(description="A sentence, for people.")]
    field: str | None = None
    request_id: str


class ProblemAnswer(Answer):
    """The shape of every error."""

    error: Problem
