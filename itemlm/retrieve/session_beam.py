"""Whole sessions by beam search: several items in order, each chosen in sight of those before it.

An outer beam keeps the best sessions so far of each query. Each is continued by the items that an
inner beam search over Semantic IDs finds, so all items exist, may be shown, and come only once.

Shapes      B queries, C sessions of each, X = B * C sessions, M items so far, K items that may
            continue a session, T items of a history, E events.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from itemlm.data.vocabulary import query_batch
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.sample.sessions import SessionBatch
from itemlm.types import ConfigError, FloatArray, IntArray, ItemId, Query, QueryBatch


class SessionBeam(CodeBeam):
    """A `CodeBeam` over a model that reads a `SessionBatch`.

    `recommend` answers with the best first items of a session, `sessions` with sessions.
    """

    @property
    def session(self) -> int:
        """Most items of a session: as many as the model has learned to write."""
        model: Any = self.model
        return int(model.places.num_embeddings)

    def _histories(self, batch: QueryBatch, device: torch.device) -> SessionBatch:  # type: ignore[override]
        return self._begun(batch, device, items=0)

    def _begun(self, batch: QueryBatch, device: torch.device, items: int) -> SessionBatch:
        """Histories whose last items are those that a session begins with."""
        before = _without_last(batch, items)
        rows_BT, lengths_B = before.last_items(self.length, empty=len(self.catalog))
        places_BM = batch.offsets[1:, None] - items + np.arange(items)
        return SessionBatch(
            torch.from_numpy(rows_BT),
            torch.from_numpy(lengths_B),
            torch.from_numpy(batch.item_rows[places_BM].astype(np.int64)),
        ).to(device)

    def sessions(
        self, queries: Sequence[Query], items: int | None = None, count: int = 1
    ) -> list[list[tuple[list[ItemId], float]]]:
        """The best sessions of each query, with their log-probabilities, best first.

        Args:
            queries: histories, with filters of their own or not.
            items: in a session; as many as the model has learned to write where None.
            count: sessions of each query; 1 takes the best item again and again.

        Raises:
            ConfigError: if a session should be longer than those that the model has learned.
        """
        items = self.session if items is None else items
        if not 1 <= items <= self.session:
            raise ConfigError(f"items is {items}, but sessions have 1 to {self.session} items.")
        batch = query_batch(list(queries), self.catalog.items)
        ids_of, found = self.catalog.items.ids_of, []
        for part in self._with_own_filters(queries, batch):
            for rows_CM, scores_C in zip(*self.best_sessions(part, items, count), strict=True):
                best = zip(rows_CM, scores_C, strict=True)
                found.append([(ids_of(r), float(score)) for r, score in best if score > -np.inf])
        return found

    def best_sessions(
        self, batch: QueryBatch, items: int, count: int
    ) -> tuple[IntArray, FloatArray]:
        """`sessions` on rows: rows_BCM and scores_BC, -1 and -inf where there are fewer."""
        queries = len(batch)
        rows_BCM = np.zeros((queries, 1, 0), dtype=np.int64)
        scores_BC: FloatArray = np.zeros((queries, 1), dtype=np.float32)
        for place in range(items):
            next_BCK, log_BCK = self._continued(batch, rows_BCM, count + place)
            is_old_BCK = (next_BCK[..., None] == rows_BCM[:, :, None]).any(-1)
            log_BCK[is_old_BCK | (next_BCK < 0)] = -np.inf
            total_BX = (scores_BC[..., None] + log_BCK).reshape(queries, -1)
            best_BC = np.argsort(-total_BX, axis=1, kind="stable")[:, :count]
            scores_BC = np.take_along_axis(total_BX, best_BC, axis=1)
            parent_BC = best_BC // next_BCK.shape[2]
            rows_BC = np.take_along_axis(next_BCK.reshape(queries, -1), best_BC, axis=1)
            before_BCM = np.take_along_axis(rows_BCM, parent_BC[..., None], axis=1)
            rows_BCM = np.concatenate([before_BCM, rows_BC[..., None]], axis=2)
        rows_BCM[np.isneginf(scores_BC)] = -1
        return rows_BCM, scores_BC

    def _continued(
        self, batch: QueryBatch, rows_BCM: IntArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        """The best k next items of each session, and their log-probabilities."""
        queries, sessions, items = rows_BCM.shape
        step = copy(self)
        step.prompts = lambda part, device: self._begun(part, device, items)
        rows_XM = rows_BCM.reshape(queries * sessions, items).clip(min=0)
        rows_XK, log_XK = step.topk(_with_last(batch, sessions, rows_XM), k)
        shape = (queries, sessions, k)
        return rows_XK.reshape(shape), log_XK.reshape(shape)


def _with_last(batch: QueryBatch, times: int, rows_XM: IntArray) -> QueryBatch:
    """Each query so many times, with items added to its history."""
    histories = np.split(batch.item_rows, batch.offsets[1:-1])
    longer = [np.append(histories[x // times], rows_M) for x, rows_M in enumerate(rows_XM)]
    return replace(
        batch,
        offsets=np.cumsum([0, *map(len, longer)]),
        item_rows=np.concatenate([np.empty(0, dtype=np.int64), *longer]),
        user_rows=np.repeat(batch.user_rows, times),
        allowed_BN=None if batch.allowed_BN is None else batch.allowed_BN.repeat(times, axis=0),
        texts=None,
    )


def _without_last(batch: QueryBatch, items: int) -> QueryBatch:
    """Histories without their last items."""
    lengths_B = np.diff(batch.offsets) - items
    offsets = np.concatenate([[0], np.cumsum(lengths_B)])
    place_E = np.arange(len(batch.item_rows)) - batch.offsets[:-1][batch.query_of_event]
    is_before_E = place_E < lengths_B[batch.query_of_event]
    return replace(batch, offsets=offsets, item_rows=batch.item_rows[is_before_E])
