"""Dataset: the facts that models learn from, as immutable tables and flat arrays.

A dataset knows which items and users exist (two vocabularies), what happened (one sequence of
items per user, oldest first) and what the items are (a catalog of any columns, one row per item).
Sequences are stored in CSR form, so that a batch is one vectorised gather and a saved dataset is
memory-mapped when it is loaded.

Shapes      U users, N items, E events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from itemlm.data.fingerprint import fingerprint
from itemlm.data.sequences import Sequences
from itemlm.data.vocabulary import Vocabulary, factorize, query_batch, rows_in
from itemlm.order import count_rows
from itemlm.types import DataError, IntArray, Query, QueryBatch, UserId

if TYPE_CHECKING:
    from itemlm.data.readers import FrameLike, OnError, PathLike
    from itemlm.data.splits import Protocol, Split


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """A catalog and an event log, ready to learn from.

    Make one with `Dataset.from_files`, `Dataset.from_frames` or `itemlm.load("ml-100k")`.

    Attributes:
        name: short name, for reports.
        users, items: ids and their rows.
        sequences: what every user did.
        catalog: one row per item, in row order; first column `item_id`.
        profiles: one row per user with whatever is known of them, or None.
        notes: what reading did: column guesses, dropped rows, known traps of the data.
        licence: who may use the data for what, in a sentence.
    """

    name: str
    users: Vocabulary
    items: Vocabulary
    sequences: Sequences
    catalog: pl.DataFrame
    profiles: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()
    licence: str = ""

    def __post_init__(self) -> None:
        if len(self.users) != len(self.sequences):
            raise DataError(f"{len(self.users)} users but {len(self.sequences)} sequences.")
        if self.catalog.height != len(self.items):
            raise DataError(f"{len(self.items)} items but {self.catalog.height} catalog rows.")
        if self.profiles is not None and self.profiles.height != len(self.users):
            raise DataError(f"{len(self.users)} users but {self.profiles.height} profiles.")

    # --- Making one -------------------------------------------------------------------------

    @classmethod
    def from_files(
        cls,
        events: PathLike,
        items: PathLike | None = None,
        users: PathLike | None = None,
        *,
        columns: dict[str, str] | None = None,
        name: str | None = None,
        on_error: OnError = "stop",
        encoding: str = "utf-8",
    ) -> Dataset:
        """Read an event log, and optionally a catalog and user profiles, from files.

        CSV, TSV, JSON lines, Parquet and RecBole's atomic files (`.inter`, `.item`, `.user`) are
        read, gzipped too. Column names are guessed from the conventions of the field; `columns`
        overrules the guess, as in `columns={"user_id": "customer", "item_id": "sku"}`.

        Args:
            events: one row per event: user, item and, best, a timestamp.
            items: one row per item: its id and any further columns.
            users: one row per user: their id and any further columns.
            columns: our name (`user_id`, `item_id`, `timestamp`, `value`) to the file's; an empty
                name leaves a timestamp or value out.
            name: the dataset's name; the event file's stem where absent.
            on_error: "stop" at the first bad row with a sentence, or "drop" and count bad rows.
            encoding: of text files.

        Raises:
            DataError: with file, line, value and the fix.
        """
        from itemlm.data.readers import read_files

        return read_files(
            events,
            items,
            users,
            columns=columns or {},
            name=name,
            on_error=on_error,
            encoding=encoding,
        )

    @classmethod
    def from_frames(
        cls,
        events: FrameLike,
        items: FrameLike | None = None,
        users: FrameLike | None = None,
        *,
        columns: dict[str, str] | None = None,
        name: str = "data",
        on_error: OnError = "stop",
    ) -> Dataset:
        """Like `from_files`, for Polars or pandas frames."""
        from itemlm.data.readers import read_frames

        return read_frames(
            events, items, users, columns=columns or {}, name=name, on_error=on_error
        )

    @classmethod
    def build(
        cls,
        events: pl.DataFrame,
        catalog: pl.DataFrame | None = None,
        profiles: pl.DataFrame | None = None,
        *,
        name: str,
        notes: tuple[str, ...] = (),
        licence: str = "",
    ) -> Dataset:
        """From checked tables with our column names.

        Args:
            events: `user_id`, `item_id` and optionally `timestamp` (int64 milliseconds) and
                `value`; rows with equal timestamps keep their order.
            catalog: `item_id` first; items without events are kept. Made from the events if None.
            profiles: `user_id` first; users without events are left out.
            name, notes, licence: see the attributes.
        """
        # Each column of the log is let go of as soon as it is understood.
        users, user_row_E = factorize(events["user_id"])
        events = events.drop("user_id")
        if catalog is None:
            items, item_row_E = factorize(events["item_id"])
            catalog = items.ids.rename("item_id").to_frame()
        else:
            items = Vocabulary(catalog["item_id"])
            item_row_E = rows_in(events["item_id"], items)
        if (unknown_E := item_row_E < 0).any():
            example = events["item_id"][int(np.argmax(unknown_E))]
            raise DataError(f"an event names item {example!r}, which is not in the catalog.")
        columns = {
            name: events[name].cast(kind).to_numpy()
            for name, kind in (("timestamp", pl.Int64), ("value", pl.Float32))
            if name in events.columns
        }
        del events
        sequences = Sequences.sort(
            user_row_E,
            item_row_E,
            timestamps=columns.get("timestamp"),
            values=columns.get("value"),
            users=len(users),
        )
        if profiles is not None:
            if profiles["user_id"].is_duplicated().any():
                twice = profiles["user_id"].filter(profiles["user_id"].is_duplicated())[0]
                raise DataError(f"user {twice!r} has more than one profile; keep one row each.")
            ids = users.ids.rename("user_id").to_frame()
            profiles = ids.join(profiles, on="user_id", how="left", maintain_order="left")
        return cls(
            name=name,
            users=users,
            items=items,
            sequences=sequences,
            catalog=catalog,
            profiles=profiles,
            notes=notes,
            licence=licence,
        )

    # --- Asking it --------------------------------------------------------------------------

    @property
    def events(self) -> pl.DataFrame:
        """The log as a table: `user_id`, `item_id`, then `timestamp` and `value` if known."""
        sequences = self.sequences
        columns: dict[str, Any] = {
            "user_id": self.users.ids.gather(sequences.user_rows),
            "item_id": self.items.ids.gather(sequences.item_rows),
        }
        if sequences.timestamps is not None:
            columns["timestamp"] = sequences.timestamps
        if sequences.values is not None:
            columns["value"] = sequences.values
        return pl.DataFrame(columns)

    @cached_property
    def item_counts(self) -> IntArray:
        """[N] events per item."""
        return count_rows(self.sequences.item_rows, len(self.items))

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when an id, an event, a time or an order changes."""
        parts: list[Any] = []
        for vocabulary in (self.users, self.items):
            ids = vocabulary.ids
            parts += [f"{ids.dtype} {len(ids)}\n", "\n".join(map(str, ids.to_list()))]
        for name, array in self.sequences.arrays().items():
            parts += [name, array]
        return fingerprint(*parts)

    @cached_property
    def catalog_fingerprint(self) -> str:
        """Twelve hex digits that change when anything in the catalog changes, such as a title."""
        return fingerprint(self.catalog.write_ndjson())

    def query(self, user: UserId) -> Query:
        """A query for a known user, with everything they did as its history.

        Raises:
            DataError: if the user is not in the data.
        """
        row = int(self.users.rows([user])[0])
        if row < 0:
            raise DataError(f"user {user!r} is not in '{self.name}'; give a history of item ids.")
        start, stop = self.sequences.offsets[row : row + 2]
        history = self.items.ids_of(self.sequences.item_rows[start:stop])
        return Query(user=self.users.ids_of(np.array([row]))[0], history=history)

    def batch(self, queries: Sequence[Query]) -> QueryBatch:
        """Queries as rows; ids that are not in the vocabulary are left out."""
        return query_batch(queries, self.items, self.users)

    def split(self, protocol: Protocol) -> Split:
        """Train, validation and test parts by a protocol of `itemlm.data.splits`."""
        return protocol.split(self)

    def __repr__(self) -> str:
        return (
            f"Dataset('{self.name}': {len(self.users):,} users, {len(self.items):,} items, "
            f"{len(self.sequences.item_rows):,} events)"
        )

    def with_sequences(self, sequences: Sequences, note: str) -> Dataset:
        """The same users, items and catalog with other events."""
        return replace(self, sequences=sequences, notes=(*self.notes, note))

    # --- Keeping it -------------------------------------------------------------------------

    def save(self, path: PathLike) -> None:
        """Write to a folder that appears whole or not at all."""
        from itemlm.data.saved import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: PathLike) -> Dataset:
        """Open a saved dataset; the sequences stay on disk and are memory-mapped.

        Raises:
            ArtifactError: if the folder is not a dataset of a version that we can read.
        """
        from itemlm.data.saved import read

        return read(Path(path))
