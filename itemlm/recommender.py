"""Recommender: the one door through which every model is asked, saved and loaded.

A model only ever sees rows and arrays (`topk`). The base class owns ids, filters, the answers'
form, the errors and the folder on disk, so that they are the same for every family.

A saved recommender is a folder without executable parts:

    manifest.json      format, paper, config, data fingerprint, versions, checksums
    catalog.parquet    the items it knows, in row order
    model.safetensors  everything that was learned, as named arrays
    NAME.json          what some papers keep besides, such as a language model's vocabulary

Shapes      B queries, K places in a slate, N items.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar, overload

import numpy as np
import polars as pl

from itemlm.config import from_mapping
from itemlm.data.dataset import Dataset
from itemlm.data.folder import new_folder
from itemlm.data.vocabulary import Vocabulary, query_batch
from itemlm.types import (
    ArtifactError,
    BoolArray,
    DataError,
    FloatArray,
    IntArray,
    ItemId,
    ItemlmWarning,
    Query,
    QueryBatch,
    Slate,
)

FORMAT_VERSION = 1
FILTER_CELLS = 2**26  # of queries times items at a time, where queries have filters of their own
C = TypeVar("C")

# Which items: their ids, a condition on catalog columns, or {"column": value or values}.
Filter = Iterable[ItemId] | pl.Expr | Mapping[str, object]


class Catalog:
    """The items that a recommender knows: a vocabulary with a table beside it."""

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table
        self.items = Vocabulary(table["item_id"])

    def __len__(self) -> int:
        return self.table.height

    @classmethod
    def of(cls, dataset: Dataset) -> Catalog:
        """The catalog of a dataset."""
        return cls(dataset.catalog)

    def matching(self, condition: Filter) -> BoolArray:
        """[N] the items that meet a filter.

        Raises:
            DataError: if a column is unknown or the condition does not fit it.
        """
        if isinstance(condition, Mapping):
            return self._matching_columns(condition)
        if isinstance(condition, pl.Expr):
            return self._evaluated(condition)
        if isinstance(condition, str):
            raise DataError(f"a filter is a list of item ids; write [{condition!r}].")
        condition = list(condition)
        if condition and all(isinstance(item, bool | np.bool_) for item in condition):
            raise DataError(
                "a filter is a list of item ids, not of true and false; write a condition, as in "
                "only=pl.col('price') < 20."
            )
        rows = self.items.rows(condition)
        mask_N = np.zeros(len(self), dtype=bool)
        mask_N[rows[rows >= 0]] = True
        return mask_N

    def allowed(self, only: Filter | None, without: Filter | None) -> BoolArray:
        """[N] the items that meet `only` and do not meet `without`; None stands for no filter.

        Raises:
            DataError: if a column is unknown or a condition does not fit it.
        """
        allowed_N = np.ones(len(self), dtype=bool)
        if only is not None:
            allowed_N &= self.matching(only)
        if without is not None:
            allowed_N &= ~self.matching(without)
        return allowed_N

    def _evaluated(self, condition: pl.Expr) -> BoolArray:
        try:
            column = self.table.select(__matches=condition, __row=pl.col("item_id"))["__matches"]
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"the filter {condition} does not fit the catalog, whose columns are "
                f"{', '.join(self.table.columns)}: {error}"
            ) from error
        if column.dtype != pl.Boolean:
            raise DataError(
                f"the filter {condition} gives {column.dtype}, but must say true or false of "
                "each item, as pl.col('year') > 1990 does."
            )
        return column.fill_null(False).to_numpy()

    def _matching_columns(self, condition: Mapping[str, object]) -> BoolArray:
        mask_N = np.ones(len(self), dtype=bool)
        for column, wanted in condition.items():
            if column not in self.table.columns:
                raise DataError(
                    f"the catalog has no column '{column}'. It has: "
                    f"{', '.join(self.table.columns)}."
                )
            many = isinstance(wanted, (list, tuple, set, frozenset))
            values = list(wanted) if many else [wanted]  # type: ignore[call-overload]
            member = pl.element() if self.table.schema[column] == pl.List else pl.col(column)
            found = member.is_in(values, nulls_equal=True)
            if self.table.schema[column] == pl.List:
                found = pl.col(column).list.eval(found).list.any()
            mask_N &= self._evaluated(found)
        return mask_N


class Recommender(ABC):
    """Answers queries with slates of items.

    Attributes:
        paper: name in the table of papers, by which a saved folder finds its code.
        reads_text: whether `Query.text` makes a difference.
        catalog: the items it can recommend.
        config: the settings it was made with, a dataclass.
        card: what is known of its making: data, fingerprint, seconds, metrics.
        chosen: settings that validation questions decided besides the epochs; a refit takes them.
        users: the people it knows, for `Query.user`; None where it knows nobody.
    """

    paper: ClassVar[str] = ""
    reads_text: ClassVar[bool] = False
    users: Vocabulary | None = None

    def __init__(self, catalog: Catalog, config: Any) -> None:
        self.catalog = catalog
        self.config = config
        self.card: dict[str, Any] = {}
        self.chosen: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"{self.paper} over {len(self.catalog):,} items"

    @abstractmethod
    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k items of each query: rows_BK (-1 beyond the last) and scores_BK."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything that was learned, as named arrays."""

    def documents(self) -> dict[str, str]:
        """JSON texts to keep besides, by name, such as a language model's vocabulary."""
        return {}

    @property
    def parameters(self) -> int:
        """Numbers that were learned; for models without training, all that are stored."""
        return sum(array.size for array in self.state().values())

    # --- Asking -----------------------------------------------------------------------------

    @overload
    def recommend(
        self,
        queries: Query | Sequence[ItemId],
        k: int = ...,
        *,
        only: Filter | None = ...,
        without: Filter | None = ...,
        exclude_seen: bool = ...,
    ) -> Slate: ...

    @overload
    def recommend(
        self,
        queries: Sequence[Query],
        k: int = ...,
        *,
        only: Filter | None = ...,
        without: Filter | None = ...,
        exclude_seen: bool = ...,
    ) -> list[Slate]: ...

    def recommend(
        self,
        queries: Query | Sequence[ItemId] | Sequence[Query],
        k: int = 10,
        *,
        only: Filter | None = None,
        without: Filter | None = None,
        exclude_seen: bool = True,
    ) -> Slate | list[Slate]:
        """Recommend to one history, one query or many queries.

        Args:
            queries: a history of item ids (oldest first) or a `Query`, answered by one slate; or a
                list of `Query`, answered by a list of slates. Unknown ids are skipped. A `Query`
                may have filters of its own.
            k: places in each slate. A slate is shorter if fewer items may be shown.
            only: recommend only these: item ids, a Polars condition on catalog columns, or
                `{"brand": "Acme"}` / `{"brand": ["Acme", "Apex"]}`.
            without: never recommend these, given in the same forms.
            exclude_seen: leave out the items of the history.

        Raises:
            DataError: if k is not positive or a filter does not fit the catalog.
        """
        if k < 1:
            raise DataError(f"k is {k}, but a slate needs at least one place.")
        if isinstance(queries, str):
            raise DataError(f"a history is a list of item ids; write [{queries!r}].")
        asked: Any = queries
        if isinstance(asked, Query):
            many, single = [asked], True
        elif not hasattr(asked, "__len__"):
            raise DataError(
                "recommend takes a history of item ids, a Query or a list of Query, not "
                f"{type(asked).__name__}."
            )
        elif len(asked) and isinstance(asked[0], Query):
            many, single = list(asked), False
        elif len(asked) and isinstance(asked[0], list | tuple):
            raise DataError(
                "several histories are written as queries: [Query(history=...), Query(...)]."
            )
        else:
            many, single = [Query(history=list(asked))], True
        allowed_N = None
        if only is not None or without is not None:
            allowed_N = self.catalog.allowed(only, without)
        batch = query_batch(many, self.catalog.items, self.users)
        _warn_of_unknown(many, batch)
        batch = replace(batch, exclude_seen=exclude_seen, allowed_N=allowed_N)
        slates = []
        for part in self._with_own_filters(many, batch):
            rows_BK, scores_BK = self.topk(part, min(k, len(self.catalog)))
            slates += [self._slate(*pair) for pair in zip(rows_BK, scores_BK, strict=True)]
        return slates[0] if single else slates

    def _with_own_filters(
        self, queries: Sequence[Query], batch: QueryBatch
    ) -> Iterator[QueryBatch]:
        """The batch, in parts whose masks fit into memory where queries have their own filters."""
        if all(query.only is None and query.without is None for query in queries):
            yield batch
            return
        window = max(1, FILTER_CELLS // max(1, len(self.catalog)))
        for start in range(0, len(batch), window):
            part = queries[start : start + window]
            filters = {(id(query.only), id(query.without)): query for query in part}
            allowed = {
                key: self.catalog.allowed(query.only, query.without)
                for key, query in filters.items()
            }
            masks = [allowed[id(query.only), id(query.without)] for query in part]
            yield replace(batch[start : start + window], allowed_BN=np.stack(masks))

    def _slate(self, rows_K: IntArray, scores_K: FloatArray) -> Slate:
        real_K = rows_K >= 0
        return Slate(
            items=self.catalog.items.ids_of(rows_K[real_K]), scores=scores_K[real_K].tolist()
        )

    # --- Keeping ----------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write to a folder that appears whole or not at all."""
        from safetensors.numpy import save_file

        from itemlm import __version__

        with new_folder(Path(path)) as folder:
            self.catalog.table.write_parquet(folder / "catalog.parquet")
            arrays = {name: np.asarray(part, order="C") for name, part in self.state().items()}
            save_file(arrays, folder / "model.safetensors")
            kept = {f"{name}.json": text for name, text in self.documents().items()}
            for name, text in kept.items():
                (folder / name).write_text(text, encoding="utf-8")
            manifest = {
                "format": "itemlm recommender",
                "version": FORMAT_VERSION,
                "itemlm": __version__,
                "paper": self.paper,
                "config": asdict(self.config),
                "card": self.card,
                "checksums": {
                    name: _sha256(folder / name)
                    for name in ("catalog.parquet", "model.safetensors", *kept)
                },
            }
            (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Saved:
    """The parts of a saved recommender, from which a paper's `restore` rebuilds it."""

    paper: str
    config: Mapping[str, Any]
    catalog: Catalog
    state: dict[str, np.ndarray[Any, Any]]
    card: dict[str, Any]
    documents: dict[str, str] = field(default_factory=dict)

    def config_of(self, kind: type[C]) -> C:
        """The config, checked against the paper's dataclass."""
        return from_mapping(kind, self.config)

    @classmethod
    def read(cls, path: str | Path) -> Saved:
        """Read a folder and check it against its manifest.

        Raises:
            ArtifactError: if a part is missing, changed or of another format version.
        """
        from safetensors.numpy import load_file

        folder = Path(path)
        if not (folder / "manifest.json").exists():
            raise ArtifactError(f"{folder} is not a saved recommender: it has no manifest.json.")
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            version = manifest["version"]
            named = {key: manifest[key] for key in ("paper", "config", "checksums", "card")}
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{folder / 'manifest.json'} is damaged ({error}). Copy the folder again or fit "
                "the model anew."
            ) from error
        if version != FORMAT_VERSION:
            raise ArtifactError(
                f"{folder} has format version {version}, this itemlm reads {FORMAT_VERSION}. "
                "Fit and save it again with this version."
            )
        for name, checksum in named["checksums"].items():
            if not (folder / name).exists():
                raise ArtifactError(f"{folder} is incomplete: {name} is missing.")
            if _sha256(folder / name) != checksum:
                raise ArtifactError(
                    f"{folder / name} is not the file that was saved (its checksum differs). "
                    "Copy the folder again or fit the model anew."
                )
        return cls(
            paper=named["paper"],
            config=named["config"],
            catalog=Catalog(pl.read_parquet(folder / "catalog.parquet")),
            state=load_file(folder / "model.safetensors"),
            card=named["card"],
            documents={
                name.removesuffix(".json"): (folder / name).read_text(encoding="utf-8")
                for name in named["checksums"]
                if name.endswith(".json")
            },
        )


def _warn_of_unknown(queries: Sequence[Query], batch: QueryBatch) -> None:
    """Say so where nothing of a history is known, since the answer is then the same for anyone."""
    for place in np.flatnonzero(batch.offsets[1:] == batch.offsets[:-1]).tolist():
        history = queries[place].history
        if len(history):
            warnings.warn(
                f"no item of the history {list(history)[:5]} is in the catalog, so the "
                "answer is what anyone would get.",
                ItemlmWarning,
                stacklevel=3,
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
