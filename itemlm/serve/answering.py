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
from itemlm.serve.rules.shaping import Pool, Rules, shape
from itemlm.serve.schemas import Fallback, Source
from itemlm.types import BoolArray, FloatArray, IntArray, ItemId, ItemlmError, Query

POOL = 5  # candidates per place, where a slate is shaped
SMALLEST_POOL = 100
LEFT_OUT = 8  # latest items of a history that an explanation leaves out, one at a time


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


def is_shaped(question: Question) -> bool:
    """Whether a slate can differ from the model's first places."""
    shaping = question.shaping
    return bool(
        shaping.boost
        or shaping.pin
        or shaping.max_per
        or shaping.diversity
        or shaping.novelty
        or shaping.explore
    )


def _fuses(question: Question) -> bool:
    return bool(question.text) and not question.release.live.reads_text


def wanted(question: Question) -> int:
    """Candidates that the model is asked for."""
    k = question.shaping.k
    if is_shaped(question) or _fuses(question):
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
            [_query(*pair) for pair in zip(questions, histories, strict=True)],
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


def _query(question: Question, history: Sequence[ItemId]) -> Query:
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
    searched = spelled(release, question.text, k, allowed_N) if _fuses(question) else None
    if searched is not None and len(searched[0]) and (pool is None or not knows_the_asker):
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


def shaped(
    question: Question,
    history: IntArray,
    pool: Rows,
    source: Source,
    fallback: Fallback | None,
    notes: list[str],
) -> Found:
    """The slate that a question's rules and dials make of candidates.

    Raises:
        ItemlmError: if a rule does not fit the catalog.
    """
    shaping, release = question.shaping, question.release
    rows_C, scores_C = pool
    k = shaping.k
    pinned = np.zeros(min(k, len(rows_C)), dtype=bool)
    rows_K, scores_K, propensities = rows_C[:k], scores_C[:k], None
    if is_shaped(question):
        made = shape(
            Pool(
                rows_C=rows_C,
                scores_C=scores_C,
                vectors_CD=_vectors(release, rows_C) if shaping.diversity else None,
                popularity_C=release.popularity_N[rows_C] if shaping.novelty else None,
            ),
            _rules(question, rows_C),
            k,
            np.random.default_rng(question.seed) if shaping.explore else None,
        )
        rows_K, scores_K, pinned = made.rows_K, made.scores_K, made.pinned_K
        if made.propensities_K is not None:
            propensities = made.propensities_K.tolist()
    if len(rows_K) < k:
        notes.append(f"fewer than {k} items may be shown.")
    return Found(
        release=release,
        history=history.tolist(),
        rows=rows_K.tolist(),
        scores=scores_K.tolist(),
        pinned=pinned.tolist(),
        propensities=propensities,
        source=source,
        fallback=fallback,
        notes=notes,
    )


def _vectors(release: Release, rows: IntArray) -> FloatArray | None:
    return None if release.index is None else release.index.vectors(rows)


def _rules(question: Question, rows_C: IntArray) -> Rules:
    shaping, release = question.shaping, question.release
    table = release.catalog.table
    limits = []
    for name, most in shaping.max_per.items():
        if name not in table.columns:
            raise ItemlmError(
                f"max_per: items have no field '{name}'. They have: {', '.join(table.columns)}."
            )
        cells = table[name][rows_C].to_list()
        limits.append(([_values(cell) for cell in cells], most))
    # What was to be left out, such as what earlier pages have shown, is not pinned either.
    excluded = set(release.catalog.items.rows(question.exclude).tolist())
    pins: dict[int, int] = {}
    for pin in shaping.pin:
        row = int(release.catalog.items.rows([pin.item_id])[0])
        if row < 0 or release.removed_N[row]:
            raise ItemlmError(f"pin: there is no item {pin.item_id!r}.")
        if row in excluded:
            continue
        if pin.place in pins or row in pins.values():
            raise ItemlmError(f"pin: place {pin.place} or item {pin.item_id!r} is pinned twice.")
        pins[pin.place] = row
    return Rules(
        boosts=[(release.mask(boost.when)[rows_C], boost.by) for boost in shaping.boost],
        limits=limits,
        pins=pins,
        diversity=shaping.diversity,
        novelty=shaping.novelty,
        explore=shaping.explore,
    )


def _values(cell: object) -> list[str]:
    if cell is None:
        return []
    return [str(part) for part in cell] if isinstance(cell, list) else [str(cell)]


def places_without(question: Question, found: Found) -> list[tuple[int, list[int]]]:
    """What the slate would be without each of the latest items of the history.

    The question is asked again with the whole history too. Only where that gives an item the place
    that it has in the slate, the comparison says something; elsewhere the place is said to stay.

    Returns:
        for each item left out, its row and the place of each item of the slate then, 0 for none.
    """
    by_history = ("model", "model+search", "behavior")
    if not found.history or found.source not in by_history or question.shaping.explore:
        return []
    left_out = list(dict.fromkeys(reversed(found.history)))[:LEFT_OUT]
    control, *others = _again(question, found.history, left_out)
    stays = [control.get(row) == place for place, row in enumerate(found.rows, 1)]
    return [
        (
            out,
            [
                place_of.get(row, 0) if stays[place - 1] else place
                for place, row in enumerate(found.rows, 1)
            ],
        )
        for out, place_of in zip(left_out, others, strict=True)
    ]


def _again(
    question: Question, history: Sequence[int], left_out: Sequence[int]
) -> list[dict[int, int]]:
    """The places of items, with the whole history first, then without each of some items."""
    release = question.release
    ids = release.catalog.items.ids_of(np.array(history))
    histories = [ids] + [
        [item for item, row in zip(ids, history, strict=True) if row != out] for out in left_out
    ]
    mask_N = allowed(question)
    if question.shaping.exclude_seen:
        # What was left out could take a place itself, which would push others down.
        mask_N[list(history)] = False
    # Where nothing but the model decides, it can be seen how far an item falls.
    plain = not is_shaped(question) and not _fuses(question)
    k = min((2 if plain else 1) * wanted(question), len(release.catalog))
    pools = candidates(
        release,
        [_query(question, some) for some in histories],
        k,
        exclude_seen=question.shaping.exclude_seen,
        allowed_BN=np.tile(mask_N, (len(histories), 1)),
    )
    if _fuses(question):
        searched = spelled(release, question.text, k, mask_N)
        pools = [fused([pool, searched], k) if len(searched[0]) else pool for pool in pools]
    if is_shaped(question):
        slates = [shaped(question, np.array(history), p, "model", None, []).rows for p in pools]
    else:
        slates = [rows.tolist() for rows, _ in pools]
    return [{row: place for place, row in enumerate(slate, 1)} for slate in slates]
