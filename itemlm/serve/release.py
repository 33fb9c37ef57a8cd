"""Release: a model and the catalog of now, as one thing that is swapped at once.

Every batch of requests is answered from one release, from its first step to its last, so an answer
never mixes a new catalog with an old model. A release does not change; item changes make the next
one, which shares the model's weights and whatever did not change.

Shapes      N items of the live catalog, of which the first are known to the model; A arrived, M
            stand-ins of each, D width of text vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from itemlm.recommender import Catalog, Recommender
from itemlm.retrieve.live import Live
from itemlm.retrieve.vector_index import VectorIndex
from itemlm.serve.live_table import Fields, applied
from itemlm.serve.rules.expressions import condition
from itemlm.serve.text_vectors import TextVectors
from itemlm.serve.word_search import WordSearch
from itemlm.text.describe import describe, titles
from itemlm.types import BoolArray, DataError, FloatArray, IntArray, ItemId

T = TypeVar("T")

STAND_INS = 5
KEPT_FILTERS = 256  # masks of one byte an item


@dataclass(frozen=True, kw_only=True, eq=False)
class Release:
    """A model version over the catalog of now.

    Attributes:
        name: of the model version.
        live: answers queries.
        texts: makes vectors of texts; None where the catalog has none.
        index: vectors_ND of all items.
        words: finds items by words; shared by later releases of the same model.
        counts_N: how often each item was taken, as far as the service knows.
        codes_NL: the Semantic IDs of all items; None where the model has none. Those of arrived
            items lie beside their stand-in's, to be found in the tree; the model does not write
            them.
    """

    name: str
    live: Live
    texts: TextVectors | None
    index: VectorIndex | None
    words: WordSearch
    counts_N: IntArray
    codes_NL: IntArray | None
    _masks: dict[str, BoolArray] = field(init=False, default_factory=dict)
    _kept: dict[str, Any] = field(init=False, default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        recommender: Recommender,
        counts: Mapping[str, int],
        *,
        encoder: str,
        folder: Path,
    ) -> Release:
        """A saved model over the catalog that it was trained on.

        Args:
            name: of the model version.
            recommender: the model.
            counts: how often items were taken, by id as text.
            encoder: of item texts.
            folder: where their vectors are kept.
        """
        table = recommender.catalog.table
        named, described = _titles_and_texts(table)
        texts = TextVectors.of(table, encoder, folder, described)
        words = WordSearch()
        words.put(range(table.height), named, described)
        return cls(
            name=name,
            live=Live.of(recommender),
            texts=texts,
            index=None if texts is None else VectorIndex(texts.vectors_ND),
            words=words,
            counts_N=_counts(recommender.catalog, counts),
            codes_NL=codes_of(recommender),
        )

    # --- What is in it --------------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        """The items of now; those that have left keep their rows."""
        return self.live.catalog

    @property
    def removed_N(self) -> BoolArray:
        """[N] items that have left."""
        if self.live.removed_N is None:
            return np.zeros(len(self.catalog), dtype=bool)
        return self.live.removed_N

    @cached_property
    def popularity_N(self) -> FloatArray:
        """[N] the share of items that are taken less often or as often."""
        order = np.sort(self.counts_N)
        share: FloatArray = np.searchsorted(order, self.counts_N, side="right") / len(order)
        return share

    @cached_property
    def parameters(self) -> int:
        """Numbers that the model learned."""
        return self.live.parameters

    def titles(self, rows: Sequence[int]) -> list[str]:
        """What people call the items of these rows."""
        return titles(self.catalog.table[list(rows)])

    def fields(
        self, rows: Sequence[int], names: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Fields of the items of these rows, as JSON can hold them; all of them if None."""
        table = self.catalog.table
        wanted = [name for name in names or table.columns if name in table.columns]
        chosen = table[list(rows)].select(
            pl.col(name).cast(pl.String) if table.schema[name].is_temporal() else pl.col(name)
            for name in wanted
            if name != "item_id"
        )
        return [_finite(row) for row in chosen.to_dicts()] if chosen.width else [{} for _ in rows]

    def kept(self, name: str, make: Callable[[Release], T]) -> T:
        """What `make` says of this release, made once; it goes when the release goes."""
        if name not in self._kept:
            self._kept[name] = make(self)
        found: T = self._kept[name]
        return found

    def mask(self, expression: str) -> BoolArray:
        """[N] the items that meet a filter expression.

        Raises:
            RuleError: if it cannot be understood.
        """
        mask_N = self._masks.get(expression)
        if mask_N is None:
            table = self.catalog.table
            mask_N = self.catalog.matching(condition(expression, table.schema))
            if len(self._masks) >= KEPT_FILTERS:
                self._masks.clear()
            self._masks[expression] = mask_N
        return mask_N

    # --- What comes next ------------------------------------------------------------------------

    def changed(self, changes: Sequence[tuple[ItemId, Fields | None]]) -> Release:
        """With item changes, in their order."""
        removed_N = self.removed_N
        done = applied(
            self.catalog.table, self.catalog.items, set(np.flatnonzero(removed_N)), changes
        )
        more = len(done.arrived)
        removed_N = np.append(removed_N, np.zeros(more, dtype=bool))
        removed_N[done.removed] = True
        removed_N[done.returned] = False
        index, live = self.index, self.live
        stand_ins_AM, similarity_AM = live.stand_ins_AM, live.similarity_AM
        if done.changed:
            rows = np.array(done.changed)
            table = done.table[done.changed]
            if self.texts is not None and index is not None:
                index = _with_vectors(index, rows, self.texts.encode(table))
            stand_ins_AM, similarity_AM = self._stand_ins(index, rows, len(removed_N))
            self.words.put(done.changed, *_titles_and_texts(table))
        self.words.remove(done.removed)
        catalog = Catalog(done.table) if done.changed else self.catalog
        codes_NL = self.codes_NL
        if codes_NL is not None and more:
            codes_NL = _with_codes(codes_NL, stand_ins_AM[-more:])
        return replace(
            self,
            live=Live(live.base, catalog, stand_ins_AM, similarity_AM, removed_N),
            index=index,
            codes_NL=codes_NL,
            counts_N=np.append(self.counts_N, np.zeros(more, dtype=np.int64)),
        )

    def counted(self, counts: Mapping[str, int]) -> Release:
        """With other counts of how often items were taken, by id as text."""
        return replace(self, counts_N=_counts(self.catalog, counts))

    def _stand_ins(
        self, index: VectorIndex | None, changed: IntArray, items: int
    ) -> tuple[IntArray, FloatArray]:
        """[A, M] the known items whose texts are most like those of the arrived ones.

        Those of arrived items that did not change now stay as they are.
        """
        known = self.live.known
        wanted = min(STAND_INS, known)
        stand_ins_AM = np.full((items - known, wanted), -1, dtype=np.int64)
        similarity_AM = np.zeros(stand_ins_AM.shape, dtype=np.float32)
        before, places = self.live.stand_ins_AM.shape
        stand_ins_AM[:before, :places] = self.live.stand_ins_AM
        similarity_AM[:before, :places] = self.live.similarity_AM
        rows = changed[changed >= known]
        if index is not None and len(rows):
            is_known_N = np.arange(items) < known
            stand_ins_AM[rows - known], similarity_AM[rows - known] = index.search(
                index.vectors(rows), wanted, is_known_N
            )
        return stand_ins_AM, similarity_AM


def _counts(catalog: Catalog, counts: Mapping[str, int]) -> IntArray:
    return np.array([counts.get(str(item_id), 0) for item_id in catalog.items.ids], dtype=np.int64)


def codes_of(recommender: Recommender) -> IntArray | None:
    """[N, L] the Semantic IDs that a model writes; None where it writes none."""
    for part in (recommender, getattr(recommender, "beam", None), *_beams(recommender)):
        codes_NL = getattr(part, "codes_NL", None)
        if codes_NL is not None:
            found: IntArray = np.asarray(codes_NL)
            return found
    return None


def _beams(recommender: Recommender) -> Sequence[Any]:
    found: Sequence[Any] = getattr(recommender, "beams", ())
    return found if isinstance(found, list) else ()


def _with_vectors(index: VectorIndex, rows: IntArray, vectors_MD: FloatArray) -> VectorIndex:
    """The index with vectors of some rows, of which those beyond its end follow each other."""
    is_new = rows >= len(index)
    if not is_new.all():
        vectors_ND = index.vectors(np.arange(len(index))).copy()
        vectors_ND[rows[~is_new]] = vectors_MD[~is_new]
        index = VectorIndex(vectors_ND)
    order = np.argsort(rows[is_new])
    return index.grown(vectors_MD[is_new][order]) if is_new.any() else index


def _with_codes(codes_NL: IntArray, stand_ins_MX: IntArray) -> IntArray:
    """Semantic IDs with those of M more items: a stand-in's, but for a free last code.

    Published codes never move. An item without a stand-in gets no codes, which is -1 throughout.
    """
    codes_NL = np.concatenate([codes_NL, np.full((len(stand_ins_MX), codes_NL.shape[1]), -1)])
    first_new = len(codes_NL) - len(stand_ins_MX)
    for row, known in enumerate(stand_ins_MX[:, 0].tolist(), first_new):
        if known < 0:
            continue
        length = int((codes_NL[known] >= 0).sum())
        prefix = codes_NL[known, : length - 1]
        beside_N = np.all(codes_NL[:row, : length - 1] == prefix, axis=1)
        codes_NL[row] = codes_NL[known]
        codes_NL[row, length - 1] = codes_NL[:row][beside_N, length - 1].max() + 1
    return codes_NL


def _titles_and_texts(table: pl.DataFrame) -> tuple[list[str], list[str]]:
    """What items are found by: their titles (else their ids), and their whole texts."""
    try:
        whole = describe(table)
    except DataError:
        whole = [""] * table.height
    return titles(table), whole


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """NaN and infinity are no JSON."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in row.items()
    }
