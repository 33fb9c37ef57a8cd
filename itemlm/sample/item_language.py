"""Item language: examples that teach a language model what the codes of items mean.

Every example is a question and an answer in words, codes or both, made by filling the blanks of a
prompt from an occasion: somebody with a history takes an item. `FIELDS` says how each blank is
filled.

Shapes      N items, E events, W windows of histories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

import numpy as np

from itemlm.data.sequences import Sequences
from itemlm.sample.batches import length_bucketed
from itemlm.sample.moments import random_moments
from itemlm.sample.next_items import prefixes, windows
from itemlm.text.prompting import Prompt
from itemlm.types import DataError, IntArray

B = TypeVar("B")
TASTES = 3  # phrases that say what somebody likes
TITLE_WORDS = 2  # of a wish

SEQUENTIAL, MUTUAL = "sequential", "mutual"


@dataclass(frozen=True, kw_only=True)
class ItemLanguage:
    """How items are written.

    Attributes:
        codes: of each item, as tokens without spaces between.
        titles: of each item.
        texts: what each item is, in a sentence.
        phrases: by which each item could be asked for.
        start: the token that begins a history of codes.
        length: most items of a history of codes.
        titled: most items of a history of titles.
    """

    codes: Sequence[str]
    titles: Sequence[str]
    texts: Sequence[str]
    phrases: Sequence[Sequence[str]]
    start: str
    length: int
    titled: int

    def history(self, rows: Sequence[int]) -> str:
        """A history of codes, oldest first."""
        return self.start + "".join(self.codes[row] for row in rows[-self.length :])


@dataclass(frozen=True)
class Occasion:
    """Somebody with a history takes an item."""

    language: ItemLanguage
    item: int
    history: Sequence[int]
    random: Random

    def titles(self) -> str:
        """The latest items by title."""
        latest = self.history[-self.language.titled :]
        return " ; ".join(self.language.titles[row] for row in latest)

    def mixed(self) -> str:
        """The latest items by title and codes."""
        latest = self.history[-self.language.titled :]
        return " ; ".join(f"{self.language.titles[r]} {self.language.codes[r]}" for r in latest)

    def wish(self) -> str:
        """One phrase of the item, some words of its title, or both."""
        said = self.language.phrases[self.item]
        parts = [self.random.choice(said)] if said else []
        words = self.language.titles[self.item].split()
        if words and (not parts or self.random.random() < 0.5):
            first = self.random.randrange(max(1, len(words) - TITLE_WORDS + 1))
            parts.append(" ".join(words[first : first + TITLE_WORDS]))
        return " ".join(parts)

    def taste(self) -> str:
        """The phrases that most items of the history share, most frequent first."""
        said = Counter(part for row in self.history for part in self.language.phrases[row])
        return ", ".join(phrase for phrase, _ in said.most_common(TASTES)) or "anything"


FIELDS: Mapping[str, Callable[[Occasion], str]] = {
    "history": lambda occasion: occasion.language.history(occasion.history),
    "titles": Occasion.titles,
    "mixed": Occasion.mixed,
    "item": lambda occasion: occasion.language.codes[occasion.item],
    "title": lambda occasion: occasion.language.titles[occasion.item],
    "text": lambda occasion: occasion.language.texts[occasion.item],
    "wish": Occasion.wish,
    "taste": Occasion.taste,
}


class ItemLanguageTasks(Generic[B]):
    """Batches of questions and answers of several tasks, mixed.

    The task "sequential" asks about every window of a history each epoch. "mutual" asks about a
    share of the items, each other task about a share of the users, at a random event of theirs.

    Args:
        sequences: the events to learn from.
        language: how items are written.
        tasks: the prompts of each task; one of a task's prompts is taken at random.
        share: of items and of users.
        every_position: cut histories into windows, of which all items are to be learned; else every
            event is a target of its own, after the events before it.
        batch_of: makes a batch of questions, answers, and whether each is of "sequential".
        batch_size: examples.
        seed: of everything random.

    Raises:
        DataError: if no user has two events.
    """

    def __init__(
        self,
        sequences: Sequences,
        language: ItemLanguage,
        tasks: Mapping[str, Sequence[Prompt]],
        *,
        share: float,
        every_position: bool,
        batch_of: Callable[[list[str], list[str], list[bool]], B],
        batch_size: int,
        seed: int,
    ) -> None:
        self.sequences, self.language, self.tasks = sequences, language, tasks
        self.batch_of, self.batch_size, self.seed = batch_of, batch_size, seed
        cut = windows if every_position else prefixes
        self.starts_W, self.lengths_W = cut(sequences.offsets, language.length)
        if not len(self.starts_W):
            raise DataError("no user has two events, so there is no next item to learn from.")
        self.active: IntArray = np.flatnonzero(sequences.lengths > 1)
        self.some_users = round(share * len(self.active))
        self.some_items = round(share * len(language.codes))
        others = len([name for name in tasks if name not in (SEQUENTIAL, MUTUAL)])
        examples = len(self.starts_W) * (SEQUENTIAL in tasks) + self.some_users * others
        examples += self.some_items * (MUTUAL in tasks)
        self.steps = -(-examples // batch_size)

    def occasions(self, epoch: int) -> Iterator[tuple[str, int, Sequence[int]]]:
        """The task, the item and the history of every example of an epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        item_rows = self.sequences.item_rows
        for task in self.tasks:
            if task == SEQUENTIAL:
                for start, length in zip(
                    self.starts_W.tolist(), self.lengths_W.tolist(), strict=True
                ):
                    rows = item_rows[start : start + length + 1].tolist()
                    yield task, rows[-1], rows[:-1]
            elif task == MUTUAL:
                chosen = rng.choice(len(self.language.codes), self.some_items, replace=False)
                yield from ((task, row, ()) for row in chosen.tolist())
            else:
                chosen = rng.choice(self.active, self.some_users, replace=False)
                places = random_moments(self.sequences, chosen, rng).tolist()
                firsts = self.sequences.offsets[chosen].tolist()
                for start, place in zip(firsts, places, strict=True):
                    oldest = max(start, place - self.language.length)
                    yield task, int(item_rows[place]), item_rows[oldest:place].tolist()

    def examples(self, epoch: int) -> tuple[list[str], list[str], list[bool]]:
        """The questions and answers of an epoch, and whether each is of "sequential"."""
        random = Random(f"{self.seed} {epoch}")
        asks: list[str] = []
        answers: list[str] = []
        whole: list[bool] = []
        for task, item, history in self.occasions(epoch):
            occasion = Occasion(self.language, item, history, random)
            prompt = random.choice(self.tasks[task])
            values = {name: FIELDS[name](occasion) for name in sorted(prompt.fields)}
            asks.append(prompt.question(values))
            answers.append(prompt.reply(values))
            whole.append(task == SEQUENTIAL)
        return asks, answers, whole

    def batches(self, epoch: int, skip: int = 0) -> Iterator[B]:
        """The batches of an epoch, without its first `skip`; examples of a length together."""
        asks, answers, whole = self.examples(epoch)
        # A word is about as long as a code is: one token.
        pairs = zip(asks, answers, strict=True)
        length = np.array([sum(t.count(" ") + t.count("<") for t in pair) for pair in pairs])
        rng = np.random.default_rng([self.seed, epoch, 1])
        for chosen in length_bucketed(length, self.batch_size, rng)[skip:]:
            yield self.batch_of(
                [asks[place] for place in chosen],
                [answers[place] for place in chosen],
                [whole[place] for place in chosen],
            )
