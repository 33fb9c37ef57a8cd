"""The state of the page, which is its URL: what was seen, who asks, which models, how they are set.

Whatever can be chosen on the page stands in the query, so every view can be shared, and the back
button works. What is not understood in a URL is left out, and a number out of range is moved into
it: a URL typed by hand gets an answer and no error. Settings at their defaults are not written.

    h        an item of the history, oldest first; repeated
    user     whose taste to ask for, besides
    model    which model answers; beside: a second one
    k, diversity, novelty        the dials
    again=1  may recommend what was seen; plain=1: without reasons
    filter   an expression over item fields; f=column:value is a facet, repeated
    q        words to look for
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

LONGEST_HISTORY = 100  # of a URL; browsers and proxies carry some 8,000 characters
MOST_PLACES = 50
PLACES = 10
T = TypeVar("T")


def item_path(item_id: object) -> str:
    """Where an item's page is; its id may hold anything.

    A path of dots would be resolved by browsers, so such ids travel in the query.
    """
    text = str(item_id)
    if text in {".", ".."}:
        return f"/items?id={text}"
    return f"/items/{quote(text, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageState:
    """What was chosen; see the module for the meaning of each part."""

    history: tuple[str, ...] = ()
    user: str = ""
    model: str = ""
    beside: str = ""
    k: int = PLACES
    diversity: float = 0.0
    novelty: float = 0.0
    again: bool = False
    plain: bool = False
    filter: str = ""
    facets: tuple[tuple[str, str], ...] = ()
    q: str = ""

    @classmethod
    def of(cls, query: QueryParams) -> PageState:
        """Read from a query."""
        facets = (text.partition(":") for text in query.getlist("f"))
        return cls(
            history=tuple(_once(map(_text, query.getlist("h"))))[-LONGEST_HISTORY:],
            user=_text(query.get("user", "")),
            model=_text(query.get("model", ""), 100),
            beside=_text(query.get("beside", ""), 100),
            k=round(_number(query.get("k", ""), PLACES, 1, MOST_PLACES)),
            diversity=_number(query.get("diversity", ""), 0, 0, 1),
            novelty=_number(query.get("novelty", ""), 0, 0, 1),
            again=query.get("again") == "1",
            plain=query.get("plain") == "1",
            filter=_text(query.get("filter", ""), 1500).strip(),
            facets=tuple(_once((column, value) for column, mark, value in facets if mark))[:10],
            q=_text(query.get("q", ""), 500).strip(),
        )

    def parts(self) -> list[tuple[str, str]]:
        """Names and values, without those at their defaults."""
        pairs = [("h", item) for item in self.history]
        pairs += [("user", self.user), ("model", self.model), ("beside", self.beside)]
        pairs += [("k", "" if self.k == PLACES else str(self.k))]
        for name, share in (("diversity", self.diversity), ("novelty", self.novelty)):
            pairs += [(name, f"{share:g}" if share else "")]
        pairs += [("again", "1" if self.again else ""), ("plain", "1" if self.plain else "")]
        pairs += [("filter", self.filter), ("q", self.q)]
        pairs += [("f", f"{column}:{value}") for column, value in self.facets]
        return [(name, value) for name, value in pairs if value]

    def url(self, path: str = "/", **others: str) -> str:
        """A path with this state, and `others` besides; where a name is in both, others win."""
        pairs = [pair for pair in self.parts() if pair[0] not in others]
        pairs += [(name, value) for name, value in others.items() if value]
        if not pairs:
            return path
        return f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}"

    def carried(self, path: str, **others: str) -> str:
        """A path with what other pages care for: the history, the person and the models."""
        kept = PageState(history=self.history, user=self.user, model=self.model, beside=self.beside)
        return kept.url(path, **others)

    def item_url(self, item_id: object) -> str:
        """An item's page, from here."""
        return self.carried(item_path(item_id))

    def with_item(self, item_id: object) -> PageState:
        """The item is the latest of the history."""
        item = str(item_id)
        kept = [other for other in self.history if other != item]
        return replace(self, history=(*kept, item)[-LONGEST_HISTORY:], q="")

    def without_item(self, place: int) -> PageState:
        """The history without its item at this place, counted from 0."""
        return replace(self, history=self.history[:place] + self.history[place + 1 :])

    def moved(self, place: int, by: int) -> PageState:
        """The history with the item at this place moved, as far as there is room."""
        items = list(self.history)
        item = items.pop(place)
        items.insert(min(max(place + by, 0), len(items)), item)
        return replace(self, history=tuple(items))

    def toggled(self, column: str, value: str) -> PageState:
        """A facet put on, or taken off."""
        facet = (column, value)
        if facet in self.facets:
            return replace(self, facets=tuple(other for other in self.facets if other != facet))
        return replace(self, facets=(*self.facets, facet))

    def changed(self, **parts: object) -> PageState:
        """With other values for these parts."""
        return replace(self, **parts)  # type: ignore[arg-type]


def _text(value: str, longest: int = 256) -> str:
    return value.replace("\x00", "")[:longest]


def _number(text: str, default: float, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        return default
    return min(max(value, low), high) if value == value else default


def _once(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(value for value in values if value))
