"""Steering: does a recommender that reads words do what they ask?

Five kinds of questions with known answers, each asked with the words and again without them, so
that the gain is what the words did:

    recommendation   a history, with the preference among those it shows that is nearest to the
                     answer; as in the benchmark, the answer picks it
    fine             the history of somebody whose answer is similar, with a preference of this
                     answer: the words must tell neighbors apart
    coarse           the history of somebody whose answer shares nothing with this one: the words
                     must win against the history
    sentiment        no history; the answer should be listed after "find ..." and not after "avoid
                     ...", which no list can be without words
    consolidation    a history with all preferences that it shows, of which at most some matter

The axes are those of Paischer et al., "Preference Discerning with LLM-Enhanced Generative
Retrieval", TMLR 2025, arXiv:2412.08604. Their preferences were written by a language model from
reviews, and similarity was that of sentence vectors. Here preferences are templates around phrases
of the catalog, and items are similar that share a phrase: figures cannot be compared with theirs.

Shapes      Q questions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from itemlm.data.held_out import HeldOut
from itemlm.text.preferences import refusal, shared, usual, wish
from itemlm.types import BoolArray, DataError, IntArray, QueryBatch, TopK

AXES = ("recommendation", "fine", "coarse", "sentiment", "consolidation")
BATCH = 512
TRIES = 50  # somebody else's histories that are tried for a question
MOST = 5  # preferences that a history shows, as in the benchmark


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One kind of question, and how it went.

    Attributes:
        name: of `AXES`.
        with_words_Q: whether the answer was among the first k.
        without_Q: the same without the words.
    """

    name: str
    with_words_Q: BoolArray
    without_Q: BoolArray

    @property
    def gain(self) -> tuple[float, float]:
        """What the words added, and half a 95 % interval of it (normal, paired)."""
        gain_Q = self.with_words_Q.astype(float) - self.without_Q
        return float(gain_Q.mean()), float(1.96 * gain_Q.std() / np.sqrt(len(gain_Q)))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question: whose history is read, what is said, and which item is right."""

    history: Sequence[int]
    text: str
    answer: int


def steering(
    recommender: TopK,
    held_out: HeldOut,
    phrases_of: Sequence[Sequence[str]],
    *,
    k: int = 10,
    questions: int = 2000,
    seed: int = 0,
) -> list[Axis]:
    """How well a recommender follows preferences, axis by axis.

    Args:
        recommender: reads the texts of a `QueryBatch`.
        held_out: test questions.
        phrases_of: what the catalog says of each item, as `text.phrases` finds it.
        k: places looked at.
        questions: at most so many on each axis, a sample by seed.
        seed: of samples and of choices among equals.

    Raises:
        DataError: if the catalog has too few phrases to ask about.
    """
    bench = _Bench(held_out.take(questions, seed), phrases_of, seed)
    axes = []
    for name in AXES:
        asked: list[Asked] = getattr(bench, name)
        if not asked:
            raise DataError(
                f"no question can be asked on the axis '{name}': the catalog's phrases do not "
                "divide the answers. Add columns such as a category or a brand."
            )
        with_words_Q = _found(recommender, asked, k)
        without_Q = _found(recommender, asked, k, silent=True)
        if name == "sentiment":
            against = [
                Asked(history=(), text=bench.against(question.answer), answer=question.answer)
                for question in asked
            ]
            with_words_Q &= ~_found(recommender, against, k)
            without_Q = np.zeros_like(without_Q)  # one answer cannot be listed and not be
        axes.append(Axis(name=name, with_words_Q=with_words_Q, without_Q=without_Q))
    return axes


class _Bench:
    """The questions of each axis."""

    def __init__(self, held_out: HeldOut, phrases_of: Sequence[Sequence[str]], seed: int) -> None:
        queries, firsts = held_out.queries, held_out.target_offsets[:-1]
        parts = np.split(queries.item_rows, queries.offsets[1:-1])
        self.histories: list[list[int]] = [part.tolist() for part in parts]
        self.answers: list[int] = held_out.target_rows[firsts].tolist()
        self.phrases_of = phrases_of
        counts = Counter(phrase for found in phrases_of for phrase in found)
        self.rarity = {phrase: (count, phrase) for phrase, count in counts.items()}
        self.seed = seed

    def telling(self, item: int) -> list[str]:
        """The phrases of an item, the rarest first: what tells it from others."""
        return sorted(self.phrases_of[item], key=self.rarity.__getitem__)

    def against(self, item: int) -> str:
        """The words against what is asked for on the axis of sentiment."""
        return refusal(self.telling(item)[0])

    @cached_property
    def recommendation(self) -> list[Asked]:
        asked = []
        for history, answer in zip(self.histories, self.answers, strict=True):
            near = shared(self.phrases_of, history, answer)
            if words := near or usual(self.phrases_of, history, 1):
                asked.append(Asked(history=history, text=wish(words[0]), answer=answer))
        return asked

    @cached_property
    def fine(self) -> list[Asked]:
        with_phrase = defaultdict(list)
        for place, answer in enumerate(self.answers):
            for phrase in self.phrases_of[answer]:
                with_phrase[phrase].append(place)
        asked = []
        for place, answer in enumerate(self.answers):
            for phrase in self.telling(answer):
                history = self._of_another(place, with_phrase[phrase])
                if history is not None:
                    asked.append(self._telling_of(answer, history))
                    break
        return asked

    @cached_property
    def coarse(self) -> list[Asked]:
        asked = []
        everybody = list(range(len(self.answers)))
        for place, answer in enumerate(self.answers):
            history = self._of_another(place, everybody, apart=True)
            if self.phrases_of[answer] and history is not None:
                asked.append(self._telling_of(answer, history))
        return asked

    @cached_property
    def sentiment(self) -> list[Asked]:
        answers = dict.fromkeys(answer for answer in self.answers if self.phrases_of[answer])
        return [self._telling_of(answer, ()) for answer in answers]

    @cached_property
    def consolidation(self) -> list[Asked]:
        asked = []
        for history, answer in zip(self.histories, self.answers, strict=True):
            if about := usual(self.phrases_of, history, MOST):
                text = " ".join(map(wish, about))
                asked.append(Asked(history=history, text=text, answer=answer))
        return asked

    def _telling_of(self, answer: int, history: Sequence[int]) -> Asked:
        return Asked(history=history, text=wish(self.telling(answer)[0]), answer=answer)

    def _of_another(
        self, place: int, places: Sequence[int], *, apart: bool = False
    ) -> Sequence[int] | None:
        """The history of somebody with another answer, which does not hold this one."""
        answer, rng = self.answers[place], np.random.default_rng([self.seed, place])
        tried: list[int] = rng.choice(places, size=min(TRIES, len(places)), replace=False).tolist()
        for other in tried:
            is_other = self.answers[other] != answer and answer not in self.histories[other]
            met = set(self.phrases_of[self.answers[other]]) & set(self.phrases_of[answer])
            if is_other and not (apart and met):
                return self.histories[other]
        return None


def _found(recommender: TopK, asked: Sequence[Asked], k: int, *, silent: bool = False) -> BoolArray:
    """[Q] whether the answer of each question is among the first k."""
    found = []
    for start in range(0, len(asked), BATCH):
        part = asked[start : start + BATCH]
        batch = QueryBatch(
            offsets=np.cumsum([0, *(len(question.history) for question in part)]),
            item_rows=_rows([row for question in part for row in question.history]),
            user_rows=np.full(len(part), -1),
            texts=None if silent else [question.text for question in part],
        )
        answers = _rows([question.answer for question in part])
        found.append((recommender.topk(batch, k)[0] == answers[:, None]).any(axis=1))
    return np.concatenate(found)


def _rows(rows: Sequence[int]) -> IntArray:
    return np.array(rows, dtype=np.int64)
