"""Core: what all parts of the service share: the models, the store, threads to work in.

Methods of a service run on the event loop and never compute there: questions to the model go
through one batcher, events through another (so that many share one write to disk), and whatever
else takes time to a small pool of threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from itemlm.data.dataset import Dataset
from itemlm.serve import answering
from itemlm.serve.batcher import Batcher, Overloaded
from itemlm.serve.histories import History
from itemlm.serve.http.errors import ApiError
from itemlm.serve.http.metrics import Metrics
from itemlm.serve.question import Found, Question
from itemlm.serve.recorder import Recorder
from itemlm.serve.release import Release
from itemlm.serve.schemas import Evaluation, Id
from itemlm.serve.settings import ServiceSettings
from itemlm.serve.shelf import Shelf
from itemlm.serve.store.rows import EventRow
from itemlm.serve.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")

SIDE_THREADS = 2  # for what is neither a recommendation nor an event
SHADOWS = 64  # questions that wait for the shadow model; it is not asked what comes on top
EVENT_BUDGET = 2.0  # seconds of waiting for the disk beyond which events are turned away


class Core:
    """The parts of a service.

    Args:
        shelf: the models.
        store: what happened.
        settings: limits, scenarios, experiments.
        dataset: what people did before the service was started, if it is known.
        metrics: counts what happens.
    """

    def __init__(
        self,
        shelf: Shelf,
        store: Store,
        settings: ServiceSettings,
        dataset: Dataset | None,
        metrics: Metrics,
    ) -> None:
        self.shelf, self.store, self.settings, self.metrics = shelf, store, settings, metrics
        self.dataset = dataset
        self.history = History(store, dataset, settings.history_length)
        self.recorder = Recorder(store)
        self.started = time.monotonic()
        self.draining = False
        self.evaluation: Evaluation | None = None  # of the models, if they came with a report
        self._side = ThreadPoolExecutor(SIDE_THREADS, thread_name_prefix="itemlm-side")
        self._shadow_thread = ThreadPoolExecutor(1, thread_name_prefix="itemlm-shadow")
        self._shadow_room = threading.BoundedSemaphore(SHADOWS)
        self._questions: Batcher[Question, Found] = Batcher(
            partial(answering.answer, histories=self.history),
            max_batch=settings.batching.max_batch,
            budget=settings.limits.budget_ms / 1000,
            observe=lambda size, _: metrics.batch_size.observe(size),
        )
        self._events: Batcher[Sequence[EventRow], list[bool]] = Batcher(
            self._written, max_batch=500, budget=EVENT_BUDGET
        )
        self.overload = self._questions.too_long
        metrics.queue_length.set_function(lambda: len(self._questions))

    def stop(self) -> None:
        """Finish what was begun and write everything down."""
        self.draining = True
        self._questions.stop()
        self._events.stop()
        self._side.shutdown()
        self._shadow_thread.shutdown()
        self.recorder.stop()
        self.store.close()

    def _written(self, batches: Sequence[Sequence[EventRow]]) -> list[list[bool] | Exception]:
        """Several requests' events in one transaction."""
        is_new = iter(self.store.add_events([row for batch in batches for row in batch]))
        return [[next(is_new) for _ in batch] for batch in batches]

    async def _aside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns, computed in another thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._side, partial(function, *args, **kwargs))

    async def _release(self, model: str | None) -> Release:
        loaded = self.shelf.active if model is None else self.shelf.loaded(model)
        if loaded is None:
            loaded = await self._aside(self.shelf.release, model)
        return loaded

    def row(self, release: Release, item_id: Id) -> int:
        """The row of an item.

        Raises:
            ApiError: `not_found`.
        """
        row = int(release.catalog.items.rows([item_id])[0])
        if row < 0:
            raise ApiError("not_found", f"There is no item {item_id!r}.", field="item_id")
        return row

    def _turned_away(self, error: Overloaded) -> ApiError:
        self.metrics.rejected.labels("overloaded").inc()
        message = "More requests wait than can be answered in time."
        return ApiError("overloaded", message, retry_after=error.seconds)
