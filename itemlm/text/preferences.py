"""Preferences in words, made from the catalog where nobody has written down what people want.

A preference names one phrase of the catalog (a brand, a kind, a genre), for or against it:

    "Find nail polish."          "Avoid nail polish."

They follow the catalog's own words, so they are plainer than what people or language models write.
"""

from __future__ import annotations

from collections.abc import Sequence

WISHES = ("Find {}.", "I am looking for {}.", "I like {}.", "Search for {}.")
REFUSALS = ("Avoid {}.", "No {}, please.", "I do not like {}.", "Exclude {}.")


def wish(phrase: str, form: int = 0) -> str:
    """A preference for what a phrase names, in one of several forms."""
    return WISHES[form % len(WISHES)].format(phrase)


def refusal(phrase: str, form: int = 0) -> str:
    """A preference against what a phrase names, in one of several forms."""
    return REFUSALS[form % len(REFUSALS)].format(phrase)


def every_form(phrases_of: Sequence[Sequence[str]]) -> list[str]:
    """Every preference that can be made of these phrases: the words that a model must know."""
    known = dict.fromkeys(phrase for found in phrases_of for phrase in found)
    forms = range(max(len(WISHES), len(REFUSALS)))
    return [
        text for phrase in known for n in forms for text in (wish(phrase, n), refusal(phrase, n))
    ]


def shared(phrases_of: Sequence[Sequence[str]], history: Sequence[int], item: int) -> list[str]:
    """The phrases of an item that an item of a history has too, in the item's order."""
    known = {phrase for row in history for phrase in phrases_of[row]}
    return [phrase for phrase in phrases_of[item] if phrase in known]


def usual(phrases_of: Sequence[Sequence[str]], history: Sequence[int], most: int) -> list[str]:
    """What a history is about: its most frequent phrases, those of later items first among equals.

    Args:
        phrases_of: the phrases of each item.
        history: item rows, oldest first.
        most: phrases.
    """
    counts: dict[str, int] = {}
    for row in reversed(history):
        for phrase in phrases_of[row]:
            counts[phrase] = counts.get(phrase, 0) + 1
    return sorted(counts, key=lambda phrase: -counts[phrase])[:most]
