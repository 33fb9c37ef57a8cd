"""Words and looks: how answers are told in sentences, and how items look without pictures.

A catalog has no pictures, so an item is a tile with its initials, in a soft color of its group. The
color follows from the group's name and rank: the same on the map and in every slate.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from itemlm.serve.schemas import RecommendAnswer

# Classes tone-0 ... tone-11 of the style sheet lie around the circle of hues. The most frequent
# groups take them in this order, so that neighbors in a legend differ; map-paint.js has the same.
TONE_ORDER = (0, 5, 9, 2, 7, 4, 11, 6, 1, 8, 3, 10)
SMALL_WORDS = {"a", "an", "and", "at", "by", "der", "die", "das", "for", "in", "la", "le", "of"}
SMALL_WORDS |= {"on", "or", "the", "to", "with"}
LONGEST_VALUE = 80

INSTEAD = {
    "search": "what fits the words",
    "item_to_item": "items like the ones in the history",
    "popularity": "what is popular",
    "catalog": "the catalog in its own order",
}
BECAUSE = {
    "no_history": "nothing is known yet to go on",
    "model_error": "the model failed",
    "timeout": "the model took too long",
}
SOURCES = {
    "model": "Ranked by {model}.",
    "model+search": "Ranked by {model} together with search.",
    "search": "Found by search.",
    "text": "Alike in words.",
    "behavior": "What {model} recommends after it.",
    "ranked": "Put in order by {model}.",
    "item_to_item": "Items like the ones in the history.",
    "popularity": "What is popular.",
    "catalog": "The catalog in its own order.",
}


def tone(group: str, frequent: Sequence[str]) -> str:
    """The class of a group's color: by rank among the most frequent groups, else by its name."""
    if not group:
        return "tone-none"
    if group in frequent:
        return f"tone-{TONE_ORDER[frequent.index(group)]}"
    return f"tone-{zlib.crc32(group.encode('utf-8', 'replace')) % len(TONE_ORDER)}"


def monogram(title: str) -> str:
    """One or two initials: of the first words that say something."""
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", title)
    telling = [word for word in words if word.lower() not in SMALL_WORDS] or words
    return "".join(word[0] for word in telling[:2]).upper() or "·"


def value_in_words(value: Any) -> str:
    """A field's value as text: lists with commas, nothing as a dash."""
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return str(value)


def short(text: str, longest: int = LONGEST_VALUE) -> str:
    """The text, cut at a word where it is long."""
    if len(text) <= longest:
        return text
    return text[: longest - 1].rsplit(" ", 1)[0].rstrip(",.;: ") + "…"


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def source_in_words(answer: RecommendAnswer) -> str:
    """Who made a slate, and what stood in for the model, if anything did."""
    told = SOURCES[answer.source].format(model=answer.model)
    if answer.fallback is None:
        return told
    instead, because = INSTEAD[answer.fallback.to], BECAUSE[answer.fallback.reason]
    return f"You see {instead}, since {because}."


def count(number: int | float | None) -> str:
    """12,345; a dash for nothing."""
    return "–" if number is None else f"{number:,.0f}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """'1 item', '2 items'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "–"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    if seconds < 0.01:
        return "< 0.01 s"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def milliseconds(value: float | None) -> str:
    """Milliseconds, or a dash."""
    return "–" if value is None else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def shares(scores: Iterable[float | None]) -> list[int | None]:
    """Scores as lengths of bars, 8 to 100: relative to the best and the last of the slate."""
    values = list(scores)
    known = [value for value in values if value is not None]
    if not known:
        return [None for _ in values]
    low, high = min(known), max(known)
    return [
        None
        if value is None
        else 100
        if high == low
        else 8 + round(92 * (value - low) / (high - low))
        for value in values
    ]
