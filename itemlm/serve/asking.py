"""Asking: slates for people, for items, for words, for lists, and the reasons for them."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from itemlm.serve import answering
from itemlm.serve.answering import allowed
from itemlm.serve.batcher import Overloaded, Stopped
from itemlm.serve.building import new_name, now, recommended, shown
from itemlm.serve.core import Core
from itemlm.serve.counterfactual import places_without
from itemlm.serve.explaining import reasons
from itemlm.serve.fallbacks import Rows, like_the_last, spelled
from itemlm.serve.http.errors import ApiError
from itemlm.serve.question import Found, Question
from itemlm.serve.rules.scenarios import merged
from itemlm.serve.schemas import (
    ExplainAnswer,
    Fallback,
    Group,
    Id,
    RankRequest,
    RecommendAnswer,
    RecommendRequest,
    SearchRequest,
    Shaping,
    SimilarRequest,
    Source,
    Why,
)
from itemlm.serve.slates import shaped
from itemlm.serve.store.rows import Recommendation, Shadow, Shown
from itemlm.types import ItemId


class Asking(Core):
    """Everything that answers with a slate."""

    async def recommend(self, request: RecommendRequest) -> RecommendAnswer:
        """A slate.

        Raises:
            ApiError: `not_found` for an unknown scenario, model or cursor, `overloaded`.
            RuleError: if a filter cannot be understood.
        """
        scenario = self._scenario(request.scenario)
        settings = merged(request, scenario)
        self._check_k(settings.k)
        group = self._group(request, scenario)
        model = settings.model or (None if group is None else self._model_of(group))
        release = await self._release(model)
        before = await self._shown_before(request.cursor)
        question = Question(
            release=release,
            shaping=settings,
            user=_text(request.user_id),
            session=_text(request.session_id),
            history=request.history,
            text=request.text,
            only=request.only,
            exclude=[*request.exclude, *before],
            seed=secrets.randbits(63) if settings.explore else 0,
        )
        found = await self._found(question)
        return await self._answer(found, question, request, group, has_pages=True)

    async def similar(self, request: SimilarRequest) -> RecommendAnswer:
        """Items like one item.

        Raises:
            ApiError: `not_found` if there is no such item or model.
        """
        self._check_k(request.k)
        release = await self._release(request.model)
        row = self.row(release, request.item_id)
        asked = RecommendRequest(
            history=[request.item_id],
            k=request.k,
            filter=request.filter,
            exclude=[*request.exclude, request.item_id],
            fields=request.fields,
            model=request.model,
        )
        question = Question(
            release=release, shaping=merged(asked), history=asked.history, exclude=asked.exclude
        )
        if request.by == "behavior":
            found = _from(await self._found(question), "behavior")
        else:
            found = await self._aside(_like, question, row)
        return await self._answer(found, question, asked, None)

    async def search(self, request: SearchRequest) -> RecommendAnswer:
        """Items for words."""
        self._check_k(request.k)
        release = self.shelf.active
        asked = RecommendRequest(
            text=request.text, k=request.k, filter=request.filter, fields=request.fields
        )
        question = Question(release=release, shaping=merged(asked), history=(), text=request.text)
        found = await self._aside(_searched, question, request.by)
        return await self._answer(found, question, asked, None)

    async def rank(self, request: RankRequest) -> RecommendAnswer:
        """A given list in the model's order; items that it cannot place come last, as given."""
        release = await self._release(request.model)
        asked = RecommendRequest(
            user_id=request.user_id,
            session_id=request.session_id,
            history=request.history,
            text=request.text,
            only=request.items,
            k=len(request.items),
            exclude_seen=False,
            fields=request.fields,
            model=request.model,
        )
        question = Question(
            release=release,
            shaping=merged(asked),
            user=_text(request.user_id),
            session=_text(request.session_id),
            history=request.history,
            text=request.text,
            only=request.items,
        )
        found = await self._found(question)
        rows = release.catalog.items.rows(request.items)
        ranked = set(found.rows)
        left = [row for row in dict.fromkeys(rows.tolist()) if row >= 0 and row not in ranked]
        found.rows += left
        found.scores += [float("nan")] * len(left)
        found.pinned += [False] * len(left)
        unknown = [i for i, row in zip(request.items, rows.tolist(), strict=True) if row < 0]
        found.notes = [f"{len(unknown)} of the items are unknown."] if unknown else []
        return await self._answer(_from(found, "ranked"), question, asked, None)

    async def explain(self, recommendation_id: str) -> ExplainAnswer:
        """Why the items of an earlier answer were recommended, by the model that gave it.

        Raises:
            ApiError: `not_found` if the answer or its model are gone.
        """
        kept = await self._aside(self.recorder.find, recommendation_id)
        if kept is None:
            raise ApiError("not_found", f"There is no answer {recommendation_id!r}.")
        request = RecommendRequest.model_validate_json(kept.request_json)
        release = await self._release(kept.model)
        settings = merged(request, self.settings.scenarios.get(request.scenario or ""))
        question = Question(
            release=release,
            shaping=settings,
            user=kept.user_id,
            history=kept.history,
            text=request.text,
            only=request.only,
            exclude=[*request.exclude, *await self._shown_before(request.cursor)],
        )
        rows = release.catalog.items.rows([item.item_id for item in kept.items])
        there = [place for place, row in enumerate(rows.tolist()) if row >= 0]
        history = release.catalog.items.rows(kept.history)
        found = Found(
            release=release,
            history=history[history >= 0].tolist(),
            rows=rows[there].tolist(),
            scores=[_number(kept.items[place].score) for place in there],
            pinned=[kept.items[place].pinned for place in there],
            propensities=_propensities([kept.items[place] for place in there]),
            source=kept.source,  # type: ignore[arg-type]
        )
        whys = await self._aside(_whys, question, found)
        return ExplainAnswer(
            recommendation_id=recommendation_id,
            model=kept.model,
            history=release.catalog.items.ids_of(history[history >= 0]),
            items=recommended(found, settings.fields, whys),
        )

    # --- Inside ---------------------------------------------------------------------------------

    def _check_k(self, k: int) -> None:
        most = self.settings.limits.max_k
        if k > most:
            raise ApiError("bad_request", f"k is {k}, but at most {most} is served.", field="k")

    def _scenario(self, name: str | None) -> Shaping | None:
        if name is None:
            return None
        scenario = self.settings.scenarios.get(name)
        if scenario is None:
            known = ", ".join(self.settings.scenarios) or "none"
            raise ApiError(
                "not_found", f"There is no scenario {name!r}. There are: {known}.", field="scenario"
            )
        return scenario

    def _group(self, request: RecommendRequest, scenario: Shaping | None) -> Group | None:
        """The experiment's group of whoever asks; None for those who name a model or nobody."""
        person = _text(request.user_id) or _text(request.session_id)
        if person is None or request.model or (scenario is not None and scenario.model):
            return None
        for name, experiment in self.settings.experiments.items():
            if experiment.scenario not in (None, request.scenario):
                continue
            shares = {group: experiment.shares.get(group, 1.0) for group in experiment.groups}
            return Group(experiment=name, group=group_of(name, person, shares))
        return None

    def _model_of(self, group: Group) -> str:
        return self.settings.experiments[group.experiment].groups[group.group]

    async def _shown_before(self, cursor: str | None) -> list[ItemId]:
        """What earlier pages of an answer have shown."""
        shown_before: list[ItemId] = []
        while cursor is not None:
            kept = await self._aside(self.recorder.find, cursor)
            if kept is None:
                raise ApiError("not_found", "The cursor is of no known answer.", field="cursor")
            shown_before += [item.item_id for item in kept.items]
            cursor = RecommendRequest.model_validate_json(kept.request_json).cursor
        return shown_before

    async def _found(self, question: Question) -> Found:
        """The batcher's answer, or a fallback if it takes too long."""
        try:
            return await self._questions.ask(question, self.settings.limits.timeout_ms / 1000)
        except Overloaded as error:
            raise self._turned_away(error) from error
        except Stopped as error:
            raise ApiError("draining", "The service is about to stop.", retry_after=5) from error
        except TimeoutError:
            return await self._aside(_late, question)

    async def _answer(
        self,
        found: Found,
        question: Question,
        request: RecommendRequest,
        group: Group | None,
        *,
        has_pages: bool = False,
    ) -> RecommendAnswer:
        """What goes over the wire, and into the log."""
        whys = None
        if question.shaping.explain:
            whys = await self._aside(_whys, question, found)
        items = recommended(found, question.shaping.fields, whys)
        name = new_name()
        self.metrics.recommendations.labels(found.source, found.release.name).inc()
        if found.fallback is not None:
            self.metrics.fallbacks.labels(found.fallback.reason).inc()
        ids = found.release.catalog.items.ids_of(np.array(found.history, dtype=np.int64))
        self.recorder.add(
            Recommendation(
                recommendation_id=name,
                at=now(),
                user_id=question.user,
                session_id=question.session,
                model=found.release.name,
                source=found.source,
                scenario=request.scenario,
                experiment=None if group is None else group.experiment,
                group=None if group is None else group.group,
                request_json=request.model_dump_json(exclude_unset=True, exclude={"history"}),
                history=[str(item_id) for item_id in ids],
                items=shown(items),
            )
        )
        shadow = self.settings.shadow
        if shadow is not None and shadow != found.release.name and self._shadow_room.acquire(False):
            self._shadow_thread.submit(self._shadow, question, name, list(map(str, ids)))
        return RecommendAnswer(
            recommendation_id=name,
            items=items,
            model=found.release.name,
            source=found.source,
            fallback=found.fallback,
            scenario=request.scenario,
            group=group,
            cursor=name if has_pages and len(items) == question.shaping.k else None,
            notes=found.notes,
        )

    def _shadow(self, question: Question, name: str, history: list[str]) -> None:
        """Ask the shadow model the same, for comparison; nobody waits for it."""
        assert self.settings.shadow is not None
        started = time.perf_counter()
        try:
            release = self.shelf.release(self.settings.shadow)
            asked = replace(question, release=release, history=history)
            (found,) = answering.answer([asked], self.history)
        except Exception as error:
            found = error
        finally:
            self._shadow_room.release()
        if isinstance(found, Exception):
            logging.getLogger("itemlm.serve").warning("the shadow model failed: %s", found)
            return
        ids = release.catalog.items.ids_of(np.array(found.rows, dtype=np.int64))
        milliseconds = 1000 * (time.perf_counter() - started)
        self.recorder.add_shadow(Shadow(name, release.name, list(map(str, ids)), milliseconds))


def group_of(experiment: str, person: str, shares: dict[str, float]) -> str:
    """The group of a person: always the same, and shared out by a hash."""
    digest = hashlib.sha256(f"{experiment}\0{person}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for group, share in shares.items():
        place -= share
        if place < 0:
            return group
    return group


def _from(found: Found, source: Source) -> Found:
    """The same by another name, unless a fallback answered."""
    return found if found.fallback is not None else replace(found, source=source)


def _whys(question: Question, found: Found) -> list[Why]:
    return reasons(found, places_without(question, found))


def _like(question: Question, row: int) -> Found:
    """Items whose texts are like that of one."""
    mask_N = allowed(question)
    found, fallback = like_the_last(
        question.release, np.array([row]), question.shaping.k, mask_N, "no_history"
    )
    is_alike = fallback.to == "item_to_item"
    source: Source = "text" if is_alike else fallback.to
    return _plain(question, found, source, None if is_alike else fallback)


def _searched(question: Question, by: Literal["words", "meaning", "both"]) -> Found:
    found = spelled(question.release, question.text, question.shaping.k, allowed(question), by)
    return _plain(question, found, "search", None)


def _late(question: Question) -> Found:
    """An answer when the model's comes too late."""
    items = question.release.catalog.items
    history = items.rows(question.history or ())
    history = history[history >= 0]
    mask_N = allowed(question)
    if question.shaping.exclude_seen:
        mask_N[history] = False
    pool, fallback = like_the_last(
        question.release, history, answering.wanted(question), mask_N, "timeout"
    )
    return shaped(question, history, pool, fallback.to, fallback, [])


def _plain(question: Question, found: Rows, source: Source, fallback: Fallback | None) -> Found:
    rows, scores = found
    return Found(
        release=question.release,
        history=[],
        rows=rows.tolist(),
        scores=scores.tolist(),
        pinned=[False] * len(rows),
        propensities=None,
        source=source,
        fallback=fallback,
    )


def _text(value: Id | None) -> str | None:
    return None if value is None else str(value)


def _propensities(shown: Sequence[Shown]) -> list[float] | None:
    """Those of an answer that was left to chance."""
    found = [item.propensity for item in shown if item.propensity is not None]
    return found if found and len(found) == len(shown) else None


def _number(score: float | None) -> float:
    return float("nan") if score is None else score
