"""Service: everything that the routes and the page can ask for, as methods.

The methods take and give the models of `schemas`. Each group has its own file: `asking` for slates,
`keeping` for events, items, people and models; here is what is there to be looked at.
"""

from __future__ import annotations

import time

from itemlm.serve import browsing
from itemlm.serve.asking import Asking
from itemlm.serve.keeping import Keeping
from itemlm.serve.schemas import CodesAnswer, HealthAnswer, Id, MapAnswer, PopularityAnswer
from itemlm.text.describe import title_column

COUNTED_EVERY = 5.0  # seconds


class Service(Asking, Keeping):
    """A recommendation service over saved models."""

    _counted = (-COUNTED_EVERY, 0)

    @property
    def title_column(self) -> str | None:
        """The catalog column that names items."""
        return title_column(self.shelf.active.catalog.table)

    async def codes(self, prefix: list[int], model: str | None = None) -> CodesAnswer:
        """A node of the tree of Semantic IDs.

        Raises:
            ApiError: `not_found` if there is no such model or node.
        """
        return await self._aside(browsing.codes, await self._release(model), prefix)

    async def catalog_map(self, model: str | None = None) -> MapAnswer:
        """The catalog as points.

        Raises:
            ApiError: `not_found` if there is no such model, or no text to draw a map from.
        """
        release = await self._release(model)
        return await self._aside(release.kept, "map", browsing.catalog_map)

    async def facets(self) -> dict[str, list[str]]:
        """Columns with few values, and the most frequent of these."""
        return await self._aside(self.shelf.active.kept, "facets", browsing.release_facets)

    async def popularity(self, item_id: Id) -> PopularityAnswer:
        """How often an item was taken, by month.

        Raises:
            ApiError: `not_found`.
        """
        return await self._aside(self._popularity, item_id)

    def _popularity(self, item_id: Id) -> PopularityAnswer:
        release = self.shelf.active
        known = release.catalog.items.ids[self.row(release, item_id)]
        counts = self.history.by_month(known)
        for day, count in self.store.popularity(str(known), "month"):
            counts[day.isoformat()] = counts.get(day.isoformat(), 0) + count
        periods = sorted(counts)
        return PopularityAnswer(
            item_id=known, periods=periods, counts=[counts[period] for period in periods]
        )

    async def health(self) -> HealthAnswer:
        """How the service is."""
        return await self._aside(self._health)

    def _health(self) -> HealthAnswer:
        release, metrics = self.shelf.active, self.metrics
        latest = metrics.recent()
        return HealthAnswer(
            status="draining" if self.draining else "ready",
            model=release.name,
            items=int((~release.removed_N).sum()),
            arrived=len(release.catalog) - release.live.known,
            seconds_up=round(time.monotonic() - self.started, 1),
            requests=metrics.total(metrics.requests),
            errors=metrics.total(metrics.requests, status="5"),
            rejected=metrics.total(metrics.rejected),
            fallbacks=metrics.total(metrics.fallbacks),
            p50_ms=latest.p50_ms,
            p95_ms=latest.p95_ms,
            p99_ms=latest.p99_ms,
            queue=len(self._questions),
            events_stored=self._events_stored(),
        )

    def _events_stored(self) -> int:
        """As of some seconds ago: counting reads a whole index, and the page asks all the time."""
        at, count = self._counted
        if time.monotonic() - at > COUNTED_EVERY:
            count = self.store.counts().events
            self._counted = (time.monotonic(), count)
        return count
