"""Dataset: the facts that models learn from, as immutable tables and flat arrays.

A dataset knows which items and users exist (two vocabularies), what happened (one sequence of
items per user, oldest first) and what the items are (a catalog of any columns, one row per item).
Sequences are stored in CSR form, so that a batch is one vectorised gather and a saved dataset is
memory-mapped when it is loaded.

Shapes      U users, N items, E events.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from itemlm.data.folder import new_folder
from itemlm.types import ArtifactError, DataError, IntArray, ItemId, Query, QueryBatch, UserId

if TYPE_CHECKING:
    from itemlm.data.readers import FrameLike, OnError, PathLike
    from itemlm.data.splits import Protocol, Split

FORMAT_VERSION = 1


class Vocabulary:
    """The one place where ids outside meet row numbers inside.

    Ids are integers or strings and come back as they were given. Look-ups forgive the other type:
    `"260"` finds the integer id 260 and the reverse, since files and URLs only carry text.
    """

    def __init__(self, ids: pl.Series) -> None:
        if ids.dtype != pl.String and not ids.dtype.is_integer():
            raise DataError(f"ids must be integers or strings, not {ids.dtype}.")
        if ids.null_count():
            raise DataError(f"{ids.null_count()} ids are empty; every row needs an id.")
        if ids.n_unique() != len(ids):
            example = ids.filter(ids.is_duplicated())[0]
            raise DataError(f"ids must be unique, but {example!r} occurs more than once.")
        self.ids = ids if ids.dtype == pl.String else ids.cast(pl.Int64)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, item_id: object) -> bool:
        return bool(self.rows([item_id])[0] >= 0)  # type: ignore[list-item]

    @cached_property
    def _row_of(self) -> dict[ItemId, int]:
        return {item_id: row for row, item_id in enumerate(self.ids.to_list())}

    def rows(self, ids: Iterable[ItemId]) -> IntArray:
        """Row of each id, -1 where it is unknown."""
        row_of, text = self._row_of, self.ids.dtype == pl.String
        found = []
        for item_id in ids:
            row = row_of.get(item_id, -1)
            if row < 0:
                other = str(item_id) if text else _as_int(item_id)
                row = -1 if other is None else row_of.get(other, -1)
            found.append(row)
        return np.array(found, dtype=np.int64)

    def ids_of(self, rows: IntArray) -> list[ItemId]:
        """The ids of these rows."""
        return self.ids.gather(np.asarray(rows, dtype=np.int64)).to_list()


def _as_int(item_id: object) -> int | None:
    """The integer that a text spells; "007" and " 7" spell none."""
    text = str(item_id)
    digits = text.removeprefix("-")
    canonical = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    return int(text) if canonical else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequences:
    """What every user did, oldest first, in CSR form.

    Attributes:
        offsets: [U + 1] int64; user u owns events offsets[u]:offsets[u + 1].
        item_rows: [E] int32.
        timestamps: [E] int64 milliseconds since 1970 UTC, or None where only the order is known.
        values: [E] float32 ratings or weights, or None.
    """

    offsets: IntArray
    item_rows: IntArray
    timestamps: IntArray | None = None
    values: np.ndarray[Any, np.dtype[np.float32]] | None = None

    def __post_init__(self) -> None:
        # Shared by everyone who learns from them, so nobody may change them by accident.
        for array in self.arrays().values():
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> IntArray:
        """[U] events per user."""
        return np.diff(self.offsets)

    @property
    def user_rows(self) -> IntArray:
        """[E] the user of each event."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    def keep(self, keep_E: np.ndarray[Any, np.dtype[np.bool_]]) -> Sequences:
        """The same users with only the marked events."""
        kept_before = np.concatenate([[0], np.cumsum(keep_E)])
        return Sequences(
            offsets=kept_before[self.offsets],
            item_rows=self.item_rows[keep_E],
            timestamps=None if self.timestamps is None else self.timestamps[keep_E],
            values=None if self.values is None else self.values[keep_E],
        )

    def reorder(self, order_E: IntArray) -> Sequences:
        """The same users with their events permuted inside each user."""
        return Sequences(
            offsets=self.offsets,
            item_rows=self.item_rows[order_E],
            timestamps=None if self.timestamps is None else self.timestamps[order_E],
            values=None if self.values is None else self.values[order_E],
        )

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The arrays that are present, by name."""
        named = {
            "offsets": self.offsets,
            "item_rows": self.item_rows,
            "timestamps": self.timestamps,
            "values": self.values,
        }
        return {name: array for name, array in named.items() if array is not None}


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
        if catalog is None:
            catalog = events.select(pl.col("item_id").unique().sort())
        users = Vocabulary(events["user_id"].unique().sort())
        items = Vocabulary(catalog["item_id"])
        user_rows, item_rows = (
            _rows_in(events["user_id"], users),
            _rows_in(events["item_id"], items),
        )
        if (item_rows < 0).any():
            example = events["item_id"][int(np.argmax(item_rows < 0))]
            raise DataError(f"an event names item {example!r}, which is not in the catalog.")
        timed = "timestamp" in events.columns
        timestamps = events["timestamp"].cast(pl.Int64).to_numpy() if timed else None
        order = np.lexsort((timestamps, user_rows) if timestamps is not None else (user_rows,))
        counts = np.bincount(user_rows, minlength=len(users))
        sequences = Sequences(
            offsets=np.concatenate([[0], np.cumsum(counts)]),
            item_rows=item_rows[order].astype(np.int32),
            timestamps=None if timestamps is None else timestamps[order],
            values=events["value"].cast(pl.Float32).to_numpy()[order]
            if "value" in events.columns
            else None,
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
        return np.bincount(self.sequences.item_rows, minlength=len(self.items))

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when an id, an event, a time or an order changes."""
        digest = hashlib.sha256()
        for vocabulary in (self.users, self.items):
            ids = vocabulary.ids
            digest.update(f"{ids.dtype} {len(ids)}\n".encode())
            digest.update("\n".join(map(str, ids.to_list())).encode())
        for name, array in self.sequences.arrays().items():
            kind = np.float32 if name == "values" else np.int64
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
        return digest.hexdigest()[:12]

    @cached_property
    def catalog_fingerprint(self) -> str:
        """Twelve hex digits that change when anything in the catalog changes, such as a title."""
        return hashlib.sha256(self.catalog.write_ndjson().encode()).hexdigest()[:12]

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
        with new_folder(Path(path)) as folder:
            for name, array in self.sequences.arrays().items():
                np.save(folder / f"{name}.npy", array)
            self.users.ids.rename("user_id").to_frame().write_parquet(folder / "users.parquet")
            self.catalog.write_parquet(folder / "catalog.parquet")
            if self.profiles is not None:
                self.profiles.write_parquet(folder / "profiles.parquet")
            manifest = {
                "format": "itemlm dataset",
                "version": FORMAT_VERSION,
                "name": self.name,
                "fingerprint": self.fingerprint,
                "licence": self.licence,
                "notes": list(self.notes),
                "arrays": list(self.sequences.arrays()),
            }
            (folder / "dataset.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: PathLike) -> Dataset:
        """Open a saved dataset; the sequences stay on disk and are memory-mapped.

        Raises:
            ArtifactError: if the folder is not a dataset of a version that we can read.
        """
        folder = Path(path)
        if not (folder / "dataset.json").exists():
            raise ArtifactError(f"{folder} is not a saved dataset: it has no dataset.json.")
        try:
            return cls._read(folder)
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            raise ArtifactError(
                f"{folder} is damaged ({error}). Make the dataset from its files again."
            ) from error

    @classmethod
    def _read(cls, folder: Path) -> Dataset:
        manifest = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        if manifest.get("version") != FORMAT_VERSION:
            raise ArtifactError(
                f"{folder} has format version {manifest.get('version')}, this itemlm reads "
                f"{FORMAT_VERSION}. Save the dataset again with this version."
            )
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in manifest["arrays"]
        }
        profiles = folder / "profiles.parquet"
        catalog = pl.read_parquet(folder / "catalog.parquet")
        return cls(
            name=manifest["name"],
            users=Vocabulary(pl.read_parquet(folder / "users.parquet")["user_id"]),
            items=Vocabulary(catalog["item_id"]),
            sequences=Sequences(**arrays),
            catalog=catalog,
            profiles=pl.read_parquet(profiles) if profiles.exists() else None,
            notes=tuple(manifest["notes"]),
            licence=manifest["licence"],
        )


def query_batch(
    queries: Sequence[Query], items: Vocabulary, users: Vocabulary | None = None
) -> QueryBatch:
    """Queries as rows; ids that are not in the vocabulary are left out."""
    rows = [items.rows(query.history) for query in queries]
    rows = [known[known >= 0] for known in rows]
    lengths = [len(known) for known in rows]
    user_rows = np.full(len(queries), -1, dtype=np.int64)
    if users is not None:
        named = [(place, q.user) for place, q in enumerate(queries) if q.user is not None]
        for place, user in named:
            user_rows[place] = users.rows([user])[0]
    return QueryBatch(
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        item_rows=np.concatenate([np.empty(0, dtype=np.int64), *rows]),
        user_rows=user_rows,
    )


def _rows_in(ids: pl.Series, vocabulary: Vocabulary) -> IntArray:
    """[E] rows of many ids at once, -1 where unknown."""
    table = pl.DataFrame({"id": vocabulary.ids, "row": np.arange(len(vocabulary))})
    ids = ids.cast(pl.Int64) if ids.dtype.is_integer() else ids
    joined = ids.rename("id").to_frame().join(table, on="id", how="left", maintain_order="left")
    return joined["row"].fill_null(-1).to_numpy()
