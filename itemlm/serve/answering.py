"""Answering: what the model's thread does with a batch of questions.

    1. histories    who asks, and what they took: stored events, or the data of the start
    2. candidates   the model's best, for questions of one kind together
    3. words        where a wish was given to a model that reads none: search results are mixed in
    4. fallback     where the model cannot say anything: items like the last ones, then popular ones
    5. shape        rules, dials and places

A question without rules gets exactly the model's answer. Nothing here waits for anything but the
store.

Shapes      B questions, K places, C candidates, N items, H items of a history.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from itemlm.data.vocabulary import query_batch
from itemlm.serve.fallbacks import Rows, fused, like_the_last, popular, spelled
from itemlm.serve.question import Found, Question
from itemlm.serve.release import Release
from itemlm.serve.schemas import Fallback, Source
from itemlm.serve.slates import is_shaped, shaped
from itemlm.types import BoolArray, IntArray, ItemId, ItemlmError, Query

POOL = 5  # candidates per place, where a slate is shaped
SMALLEST_POOL = 100


class Histories(Protocol):
    """Who took what."""

    def of(
        self, users: Sequence[str], sessions: Sequence[str]
    ) -> tuple[Mapping[str, Sequence[ItemId]], Mapping[str, Sequence[ItemId]]]:
        """Histories of users and of sessions, oldest first; those without one are absent."""
        ...

    def forgotten(self, users: Sequence[str]) -> set[str]:
        """Which of these asked to be forgotten: what a model learned of them is not used."""
        ...


def answer(questions: Sequence[Question], histories: Histories) -> list[Found | Exception]:
    """A slate, or what went wrong, for each question."""
    read = _histories(questions, histories)
    questions = _without_forgotten(questions, histories)
    found: dict[int, Found | Exception] = {}
    kinds: dict[tuple[int, int, bool, bool], list[int]] = defaultdict(list)
    for place, question in enumerate(questions):
        kinds[
            id(question.release),
            wanted(question),
            question.shaping.exclude_seen,
            _is_filtered(question),
        ].append(place)
    for places in kinds.values():
        some = [questions[place] for place in places]
        for place, answered in zip(
            places, _of_one_kind(some, [read[p] for p in places]), strict=True
        ):
            found[place] = answered
    return [found[place] for place in range(len(questions))]


def _histories(questions: Sequence[Question], histories: Histories) -> list[Sequence[ItemId]]:
    asking = [q for q in questions if q.history is None]
    users = sorted({q.user for q in asking if q.user is not None})
    sessions = sorted({q.session for q in asking if q.user is None and q.session is not None})
    of_user: Mapping[str, Sequence[ItemId]] = {}
    of_session: Mapping[str, Sequence[ItemId]] = {}
    if users or sessions:
        of_user, of_session = histories.of(users, sessions)
    return [
        q.history
        if q.history is not None
        else of_user.get(q.user, ())
        if q.user is not None
        else of_session.get(q.session or "", ())
        for q in questions
    ]


def _without_forgotten(questions: Sequence[Question], histories: Histories) -> Sequence[Question]:
    """For models that know people by name: nobody of those who are not to be known."""
    users = {q.user for q in questions if q.user is not None and q.release.live.users is not None}
    forgotten = histories.forgotten(sorted(users)) if users else set()
    if not forgotten:
        return questions
    return [replace(q, user=None) if q.user in forgotten else q for q in questions]


def fuses(question: Question) -> bool:
    """Whether search results are mixed into what a model says that reads no words."""
    return bool(question.text) and not question.release.live.reads_text


def wanted(question: Question) -> int:
    """Candidates that the model is asked for."""
    k = question.shaping.k
    if is_shaped(question) or fuses(question):
        k = max(POOL * k, SMALLEST_POOL)
    return min(k, len(question.release.catalog))


def _is_filtered(question: Question) -> bool:
    return bool(question.shaping.filter or question.exclude or question.only is not None)


def allowed(question: Question) -> BoolArray:
    """[N] the items that may be shown.

    Raises:
        RuleError: if a filter cannot be understood.
    """
    release = question.release
    allowed_N = ~release.removed_N
    if question.shaping.filter:
        allowed_N &= release.mask(question.shaping.filter)
    if question.only is not None:
        rows = release.catalog.items.rows(question.only)
        only_N = np.zeros(len(allowed_N), dtype=bool)
        only_N[rows[rows >= 0]] = True
        allowed_N &= only_N
    if question.exclude:
        rows = release.catalog.items.rows(question.exclude)
        allowed_N[rows[rows >= 0]] = False
    return allowed_N


def _of_one_kind(
    questions: Sequence[Question], histories: Sequence[Sequence[ItemId]]
) -> list[Found | Exception]:
    """Questions to one release, for as many candidates, all with filters or all without."""
    answers: list[Found | Exception | None] = [None] * len(questions)
    masks: dict[int, BoolArray] = {}
    for place, question in enumerate(questions):
        try:
            if _is_filtered(question) or is_shaped(question) or question.text:
                masks[place] = allowed(question)
                for boost in question.shaping.boost:
                    question.release.mask(boost.when)
        except ItemlmError as error:
            answers[place] = error
    places = [place for place, answered in enumerate(answers) if answered is None]
    if places:
        chosen = [questions[place] for place in places]
        read = [histories[place] for place in places]
        given = [masks.get(place) for place in places]
        for place, found in zip(places, _answered(chosen, read, given), strict=True):
            answers[place] = found
    return [answered for answered in answers if answered is not None]


def _answered(
    questions: Sequence[Question],
    histories: Sequence[Sequence[ItemId]],
    masks: Sequence[BoolArray | None],
) -> list[Found | Exception]:
    release, k = questions[0].release, wanted(questions[0])
    failure: Exception | None = None
    pools: Sequence[Rows] = ()
    try:
        pools = candidates(
            release,
            [query_of(*pair) for pair in zip(questions, histories, strict=True)],
            k,
            exclude_seen=questions[0].shaping.exclude_seen,
            allowed_BN=_stacked(masks) if _is_filtered(questions[0]) else None,
        )
    except Exception as error:
        logging.getLogger("itemlm.serve").exception("model '%s' failed", release.name)
        failure = error
    answers: list[Found | Exception] = []
    for place, question in enumerate(questions):
        rows = release.catalog.items.rows(histories[place])
        rows = rows[rows >= 0]
        mask_N = masks[place]
        if mask_N is None:
            mask_N = ~release.removed_N
        try:
            pool = None if failure else pools[place]
            answers.append(_finished(question, rows, len(histories[place]), mask_N, pool, k))
        except ItemlmError as error:
            answers.append(error)
    return answers


def candidates(
    release: Release,
    queries: Sequence[Query],
    k: int,
    *,
    exclude_seen: bool,
    allowed_BN: BoolArray | None,
) -> list[Rows]:
    """The model's best k of each query: rows, best first, and scores."""
    live = release.live
    batch = replace(
        query_batch(queries, live.catalog.items, live.users),
        exclude_seen=exclude_seen,
        allowed_BN=allowed_BN,
    )
    rows_BK, scores_BK = live.topk(batch, k)
    return [
        (rows_K[rows_K >= 0], scores_K[rows_K >= 0])
        for rows_K, scores_K in zip(rows_BK, scores_BK, strict=True)
    ]


def _stacked(masks: Sequence[BoolArray | None]) -> BoolArray:
    return np.stack([mask_N for mask_N in masks if mask_N is not None])


def query_of(question: Question, history: Sequence[ItemId]) -> Query:
    """The question as the model gets it, with some history."""
    text = question.text if question.release.live.reads_text else None
    return Query(history=history, user=question.user, text=text)


def _finished(
    question: Question,
    history: IntArray,
    given: int,
    allowed_N: BoolArray,
    pool: Rows | None,
    k: int,
) -> Found:
    """From candidates to a slate.

    Args:
        question: what was asked.
        history: [H] rows of the history that are known.
        given: how many items it had, unknown ones included.
        allowed_N: the items that may be shown.
        pool: what the model said; None if it failed.
        k: candidates wanted.
    """
    release = question.release
    source: Source = "model"
    notes = []
    if given > len(history):
        notes.append(f"{given - len(history)} of {given} items of the history are unknown.")
    if question.shaping.exclude_seen:
        allowed_N = allowed_N.copy()
        allowed_N[history] = False
    knows_the_asker = len(history) > 0 or _knows(question)
    fallback: Fallback | None = None
    searched = spelled(release, question.text, k, allowed_N) if fuses(question) else None
    if searched is not None and len(searched[0]) and (pool is None or not knows_the_asker):
        if pool is None:
            fallback = Fallback(to="search", reason="model_error")
        pool, source = searched, "search"
    elif pool is None:
        pool, fallback = like_the_last(release, history, k, allowed_N, "model_error")
    elif not knows_the_asker and not (question.text and release.live.reads_text):
        known = popular(release, k, allowed_N, "no_history")
        if known is not None:
            pool, fallback = known
    elif searched is not None and len(searched[0]):
        pool, source = fused([pool, searched], k), "model+search"
    if fallback is not None:
        source = fallback.to
    return shaped(question, history, pool, source, fallback, notes)


def _knows(question: Question) -> bool:
    users = question.release.live.users
    return users is not None and question.user is not None and question.user in users
