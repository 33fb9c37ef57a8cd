"""Recommendation tasks in words: what a text-to-text model is asked, and what it should say.

Every event of a user can be asked about in many ways: what came after these items, would they like
that one, how do they rate it, why. Prompts have blanks, and `FIELDS` says how each blank is filled
from an event. A prompt whose blanks the data cannot fill is left out, and with it a family none of
whose prompts is left.

Shapes      E events, U users, N items, P prompts of a family, X events that a family can ask about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Generic, TypeVar

import numpy as np

from itemlm.data.sequences import Sequences
from itemlm.sample.batches import length_bucketed
from itemlm.text.prompting import Prompt
from itemlm.types import BoolArray, DataError, IntArray

B = TypeVar("B")
LIKED = 0.75  # of the range of ratings: 4 stars of 1 to 5
EVENT_TEXTS = ("review", "summary", "explanation", "feature")


@dataclass(frozen=True, kw_only=True)
class Material:
    """What prompts are filled from.

    Attributes:
        sequences: the events to learn from.
        users: how each user is written.
        items: how each item is written.
        nobody: how a user is written who stays unnamed.
        titles: of items, "" where there is none.
        texts: of events, by field, "" where there is none.
        length: most recent items of a history.
        candidates: items to choose from, the right one among them.
        answers: items in an answer that lists what follows.
        hidden: share of the examples whose user stays unnamed.
    """

    sequences: Sequences
    users: Sequence[str]
    items: Sequence[str]
    nobody: str
    titles: Sequence[str] = ()
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    length: int = 20
    candidates: int = 10
    answers: int = 1
    hidden: float = 0.0

    @cached_property
    def can_fill(self) -> dict[str, BoolArray]:
        """[E] by field, the events that it can be filled for."""
        events = self.sequences.item_rows
        every_E = np.ones(len(events), dtype=bool)
        always = ("user", "item", "following", "candidates", "candidate", "verdict")
        known = dict.fromkeys(always, every_E)
        known["history"] = np.arange(len(events)) > np.repeat(
            self.sequences.offsets[:-1], self.sequences.lengths
        )
        if self.titles:
            titled_N = np.array([bool(title) for title in self.titles])
            known["title"] = titled_N[events]
            if titled_N.all():
                known["candidate_title"] = every_E
        if (values := self.sequences.values) is not None:
            known |= dict.fromkeys(("rating", "guess", "opinion"), np.isfinite(values))
        for name, texts in self.texts.items():
            known[name] = np.array([bool(text) for text in texts])
        return known

    @cached_property
    def ratings(self) -> list[str]:
        """Those that occur, as they are written."""
        values = self.sequences.values
        return [] if values is None else [f"{v:g}" for v in np.unique(values[np.isfinite(values)])]

    @cached_property
    def liked_from(self) -> float:
        """The lowest rating that means that somebody likes an item."""
        values = self.sequences.values
        if values is None:
            return 0.0
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        return low + LIKED * (high - low)


class Moment:
    """One event of a user, from which every blank of a prompt is filled.

    Args:
        material: see there.
        user: row of the user.
        place: of the event.
        random: of hidden users, candidates and false statements.
    """

    def __init__(self, material: Material, user: int, place: int, random: Random) -> None:
        self.material, self.user, self.place, self.random = material, user, place, random
        self.item = int(material.sequences.item_rows[place])
        self.is_hidden = random.random() < material.hidden
        self.is_true = random.random() < 0.5

    def name(self) -> str:
        """How the user is written."""
        return self.material.nobody if self.is_hidden else self.material.users[self.user]

    def history(self) -> str:
        """The items before the event, oldest first."""
        first = int(self.material.sequences.offsets[self.user])
        start = max(first, self.place - self.material.length)
        rows = self.material.sequences.item_rows[start : self.place].tolist()
        return " ".join(self.material.items[row] for row in rows)

    def following(self) -> str:
        """The item and those after it."""
        last = int(self.material.sequences.offsets[self.user + 1])
        stop = min(last, self.place + self.material.answers)
        rows = self.material.sequences.item_rows[self.place : stop].tolist()
        return " ".join(self.material.items[row] for row in rows)

    def other_item(self) -> int:
        """An item that the user has not taken, if there is one."""
        total = len(self.material.items)
        for _ in range(100):
            row = self.random.randrange(total)
            if row not in self.taken:
                return row
        return self.item

    @cached_property
    def taken(self) -> frozenset[int]:
        """Items of all the user's events."""
        start, stop = self.material.sequences.offsets[self.user : self.user + 2]
        return frozenset(self.material.sequences.item_rows[start:stop].tolist())

    def candidates(self) -> str:
        """The item among others, in any order."""
        rows = [self.item, *(self.other_item() for _ in range(self.material.candidates - 1))]
        self.random.shuffle(rows)
        return " ".join(self.material.items[row] for row in rows)

    @cached_property
    def candidate(self) -> int:
        """The item, or another one where what is said is false."""
        return self.item if self.is_true else self.other_item()

    def rating(self) -> str:
        """What the user gave."""
        return f"{self.value:g}"

    @cached_property
    def value(self) -> float:
        """The rating as a number."""
        values = self.material.sequences.values
        return 0.0 if values is None else float(values[self.place])

    def guess(self) -> str:
        """The rating, or another one where what is said is false."""
        others = [rating for rating in self.material.ratings if rating != self.rating()]
        return self.rating() if self.is_true or not others else self.random.choice(others)


FIELDS: dict[str, Callable[[Moment], str]] = {
    "user": Moment.name,
    "item": lambda moment: moment.material.items[moment.item],
    "title": lambda moment: moment.material.titles[moment.item],
    "history": Moment.history,
    "following": Moment.following,
    "candidates": Moment.candidates,
    "candidate": lambda moment: moment.material.items[moment.candidate],
    "candidate_title": lambda moment: moment.material.titles[moment.candidate],
    "verdict": lambda moment: "yes" if moment.is_true else "no",
    "rating": Moment.rating,
    "guess": Moment.guess,
    "opinion": lambda m: "like" if m.value >= m.material.liked_from else "dislike",
    "review": lambda moment: moment.material.texts["review"][moment.place],
    "summary": lambda moment: moment.material.texts["summary"][moment.place],
    "explanation": lambda moment: moment.material.texts["explanation"][moment.place],
    "feature": lambda moment: moment.material.texts["feature"][moment.place],
}


def filled(prompt: Prompt, moment: Moment) -> tuple[str, str]:
    """The question and the answer of a prompt about one event."""
    values = {name: FIELDS[name](moment) for name in sorted(prompt.fields)}
    return prompt.question(values), prompt.reply(values)


class Family:
    """The prompts of one kind that the data can fill, and the events that they can ask about.

    Args:
        name: of the family.
        prompts: all of them; unseen ones are left out.
        material: what there is to fill them from.

    Attributes:
        missing: blanks that the data can never fill.
    """

    def __init__(self, name: str, prompts: Sequence[Prompt], material: Material) -> None:
        known = material.can_fill
        self.name = name
        asked = [prompt for prompt in prompts if not prompt.unseen]
        self.prompts = [prompt for prompt in asked if prompt.fields <= known.keys()]
        self.missing = sorted({field for prompt in asked for field in prompt.fields - known.keys()})
        events = len(material.sequences.item_rows)
        self.fits_PE = np.array(
            [np.logical_and.reduce([known[name] for name in p.fields]) for p in self.prompts]
        ).reshape(len(self.prompts), events)
        self.place_X: IntArray = np.flatnonzero(self.fits_PE.any(axis=0))
        user_X = material.sequences.user_rows[self.place_X]
        self.users, self.first, self.count = np.unique(
            user_X, return_index=True, return_counts=True
        )

    def drawn(self, random: np.random.Generator) -> tuple[list[int], list[int]]:
        """One event of each user who has any: the users and the places of the events."""
        offset = (random.random(len(self.users)) * self.count).astype(np.int64)
        return self.users.tolist(), self.place_X[self.first + offset].tolist()

    def prompt(self, place: int, random: Random) -> Prompt:
        """Any prompt that fits an event."""
        return random.choice([self.prompts[p] for p in np.flatnonzero(self.fits_PE[:, place])])


class Tasks(Generic[B]):
    """Batches of questions and answers of several families, mixed.

    Args:
        families: to draw from; those without any event are left out.
        per_user: examples of each family per user and epoch.
        material: what prompts are filled from.
        batch_of: makes a batch of questions and answers.
        batch_size: examples.
        seed: of everything random.

    Raises:
        DataError: if no family has an event to ask about.
    """

    def __init__(
        self,
        families: Sequence[Family],
        per_user: Sequence[int],
        material: Material,
        batch_of: Callable[[list[str], list[str]], B],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self.families, self.per_user, self.material = families, per_user, material
        self.batch_of, self.batch_size, self.seed = batch_of, batch_size, seed
        counts = zip(families, per_user, strict=True)
        examples = sum(len(family.users) * times for family, times in counts)
        if not examples:
            raise DataError(
                "there is nothing to ask: no family of prompts has an event that fills its blanks."
            )
        self.steps = -(-examples // batch_size)

    def examples(self, epoch: int) -> tuple[list[str], list[str]]:
        """The questions and the answers of an epoch, one family after the other."""
        asks: list[str] = []
        answers: list[str] = []
        draws = np.random.default_rng([self.seed, epoch])
        random = Random(f"{self.seed} {epoch}")
        for family, times in zip(self.families, self.per_user, strict=True):
            for _ in range(times):
                for user, place in zip(*family.drawn(draws), strict=True):
                    moment = Moment(self.material, user, place, random)
                    ask, answer = filled(family.prompt(place, random), moment)
                    asks.append(ask)
                    answers.append(answer)
        return asks, answers

    def batches(self, epoch: int, skip: int = 0) -> Iterator[B]:
        """The batches of an epoch, without its first `skip`; questions of a length together."""
        asks, answers = self.examples(epoch)
        words = np.array([ask.count(" ") for ask in asks])
        rng = np.random.default_rng([self.seed, epoch, 1])
        for chosen in length_bucketed(words, self.batch_size, rng)[skip:]:
            yield self.batch_of(
                [asks[place] for place in chosen], [answers[place] for place in chosen]
            )
