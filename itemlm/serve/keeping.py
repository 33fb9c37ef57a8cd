"""Keeping: events, items, people and models: what changes while the service runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from itemlm.serve import browsing
from itemlm.serve.batcher import Overloaded, Stopped
from itemlm.serve.building import new_name
from itemlm.serve.core import Core
from itemlm.serve.http.errors import ApiError
from itemlm.serve.live_table import checked, stored_id
from itemlm.serve.schemas import (
    Event,
    EventsAnswer,
    ForgottenAnswer,
    Id,
    ItemAnswer,
    ItemBody,
    ItemPage,
    ItemsAnswer,
    ModelAnswer,
    ModelsAnswer,
    RemovedAnswer,
    StoredEvent,
    UserAnswer,
)
from itemlm.serve.store.rows import EventRow
from itemlm.types import ArtifactError


class Keeping(Core):
    """Everything that writes, and what is kept."""

    # --- Events ---------------------------------------------------------------------------------

    async def add_events(self, events: Sequence[Event], key: str | None = None) -> EventsAnswer:
        """Keep events; they are on disk when this returns.

        Args:
            events: what happened.
            key: of the request, by which events without an id of their own are told apart, so that
                the same request sent twice counts once.
        """
        rows = [_row(event, place, key) for place, event in enumerate(events)]
        try:
            is_new = await self._events.ask(rows, self.settings.limits.timeout_ms / 1000 + 10)
        except Overloaded as error:
            raise self._turned_away(error) from error
        except TimeoutError as error:
            raise ApiError("timeout", "The events could not be stored in time.") from error
        except Stopped as error:
            raise ApiError("draining", "The service is about to stop.", retry_after=5) from error
        accepted = sum(is_new)
        self.metrics.events_accepted.inc(accepted)
        self.metrics.events_duplicate.inc(len(rows) - accepted)
        self.metrics.event_arrived()
        return EventsAnswer(
            accepted=accepted,
            duplicates=len(rows) - accepted,
            event_ids=[row.event_id for row in rows],
        )

    # --- Items ----------------------------------------------------------------------------------

    async def put_items(self, items: Sequence[ItemBody]) -> ItemsAnswer:
        """Add items or change fields of known ones; answers know them when this returns.

        Raises:
            DataError: if a field does not fit its column; then nothing was changed.
        """
        return await self._aside(self._put_items, items)

    def _put_items(self, items: Sequence[ItemBody]) -> ItemsAnswer:
        catalog = self.shelf.active.catalog
        schema = dict(catalog.table.schema)
        changes = []
        for item in items:
            item_id = stored_id(item.item_id, catalog.items)
            changes.append((item_id, checked(item_id, item.model_extra or {}, schema)))
        ids = list(dict.fromkeys(item_id for item_id, _ in changes))
        known = int((catalog.items.rows(ids) >= 0).sum())
        self.shelf.change_items(changes)
        self._count_items()
        return ItemsAnswer(added=len(ids) - known, updated=known, live=True)

    async def remove_item(self, item_id: Id) -> RemovedAnswer:
        """Let an item be recommended no more.

        Raises:
            ApiError: `not_found`.
        """
        release = self.shelf.active
        row = self.row(release, item_id)
        was_there = not release.removed_N[row]
        if was_there:
            known = release.catalog.items.ids[row]
            await self._aside(self.shelf.change_items, [(known, None)])
            self._count_items()
        return RemovedAnswer(item_id=item_id, removed=was_there)

    async def item(self, item_id: Id, model: str | None = None) -> ItemAnswer:
        """One item, with the codes that a model writes for it.

        Raises:
            ApiError: `not_found`.
        """
        release = await self._release(model)
        return browsing.described(release, self.row(release, item_id))

    async def items(
        self, limit: int, cursor: str | None = None, filter: str | None = None
    ) -> ItemPage:
        """A page of the catalog.

        Raises:
            ApiError: for a cursor that is none.
            RuleError: if the filter cannot be understood.
        """
        start = _whole(cursor)
        return await self._aside(browsing.page, self.shelf.active, limit, start, filter)

    def _count_items(self) -> None:
        live = self.shelf.active.live
        arrived = len(live.catalog) - live.known
        self.metrics.items.labels("live").set(int((~self.shelf.active.removed_N).sum()))
        self.metrics.items.labels("arrived").set(arrived)

    # --- People ---------------------------------------------------------------------------------

    async def user(self, user_id: Id, limit: int = 100, cursor: str | None = None) -> UserAnswer:
        """What is kept of a person, newest first.

        Raises:
            ApiError: for a cursor that is none.
        """
        before = None
        if cursor is not None:
            at, _, number = cursor.partition("-")
            before = (_whole(at), _whole(number))
        return await self._aside(self._user, user_id, limit, before)

    def _user(self, user_id: Id, limit: int, before: tuple[int, int] | None) -> UserAnswer:
        rows = self.store.events_of(str(user_id), limit, before)
        items = self.shelf.active.catalog.items
        known = items.rows([event.item_id for _, event in rows])
        events = [
            StoredEvent(
                event_id=event.event_id,
                item_id=event.item_id if row < 0 else items.ids[row],
                kind=event.kind,
                timestamp=datetime.fromtimestamp(event.at / 1e6, UTC),
                value=event.value,
                recommendation_id=event.recommendation_id,
            )
            for (_, event), row in zip(rows, known.tolist(), strict=True)
        ]
        more = len(rows) == limit
        return UserAnswer(
            user_id=user_id,
            events=events,
            trained_on=self.history.before([str(user_id)]).get(str(user_id), []),
            cursor="-".join(map(str, rows[-1][0])) if more else None,
        )

    async def forget(self, user_id: Id) -> ForgottenAnswer:
        """Delete everything that is kept of a person."""
        return await self._aside(self._forget, str(user_id))

    def _forget(self, user: str) -> ForgottenAnswer:
        was_read = bool(self.history.before([user]))
        self.recorder.flush()  # so that the store, which knows whose visits are whose, deletes all
        gone = self.store.forget(user)
        self.recorder.forget(user)  # what was answered in between
        return ForgottenAnswer(
            user_id=user,
            events=gone.events,
            recommendations=gone.recommendations,
            history_hidden=was_read,
        )

    # --- Models ---------------------------------------------------------------------------------

    async def models(self) -> ModelsAnswer:
        """All model versions."""
        return await self._aside(self._models)

    async def activate(self, name: str) -> ModelsAnswer:
        """Let a version answer from now on.

        Raises:
            ApiError: `not_found`.
            ArtifactError: if it cannot be read; the active one goes on.
        """
        await self._aside(self.shelf.activate, name)
        return await self._swapped()

    async def rollback(self) -> ModelsAnswer:
        """Let the version before answer again.

        Raises:
            ApiError: `not_found` if there is none.
        """
        await self._aside(self.shelf.rollback)
        return await self._swapped()

    async def _swapped(self) -> ModelsAnswer:
        active = self.shelf.active
        self.metrics.model_is(active.name, active.live.paper)
        self._count_items()
        return await self.models()

    def _models(self) -> ModelsAnswer:
        active = self.shelf.active.name
        models = []
        for name in self.shelf.names():
            release = self.shelf.loaded(name)
            try:
                manifest = self.shelf.manifest(name)
            except ArtifactError:  # a damaged folder must not hide the others
                continue
            models.append(
                ModelAnswer(
                    name=name,
                    paper=str(manifest.get("paper")),
                    active=name == active,
                    loaded=release is not None,
                    items=None if release is None else release.live.known,
                    parameters=None if release is None else release.parameters,
                    card=manifest.get("card") or {},
                    config=manifest.get("config") or {},
                )
            )
        return ModelsAnswer(
            active=active, previous=self.shelf.previous, models=models, evaluation=self.evaluation
        )

    # --- Upkeep ---------------------------------------------------------------------------------

    async def ping(self) -> None:
        """Do nothing if the store can be read.

        Raises:
            StoreUnavailable: otherwise.
        """
        await self._aside(self.store.ping)

    async def upkeep(self) -> None:
        """Delete what has become old, and count popularity anew."""
        try:
            await self._aside(self._tidy)
        except Exception:  # the next time may go well; answers do not depend on it
            logging.getLogger("itemlm.serve").exception("upkeep failed")

    def _tidy(self) -> None:
        retention = self.settings.retention
        self.store.retain(retention.events_days, retention.recommendations_days)
        self.shelf.reload_counts()


def _whole(text: str | None) -> int:
    """The number in a cursor."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ApiError("bad_request", "The cursor is none of ours.", field="cursor")
    return int(text)


def _row(event: Event, place: int, key: str | None) -> EventRow:
    at = event.timestamp or datetime.now(UTC)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    name = event.event_id or (f"{key}:{place}" if key else new_name())
    return EventRow(
        event_id=name,
        user_id=None if event.user_id is None else str(event.user_id),
        session_id=None if event.session_id is None else str(event.session_id),
        item_id=str(event.item_id),
        kind=event.kind,
        at=int(at.timestamp() * 1e6),
        value=event.value,
        recommendation_id=event.recommendation_id,
    )
