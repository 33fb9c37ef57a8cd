"""ItemTokens: the Semantic IDs of a catalog, one unique tuple of codes per item.

The first levels carry meaning (items with close vectors share them), and by convention the last
level has none: it only tells apart the items that share all others. Tokenizers whose codes items
may share end in `unique`, which adds that level, and everything downstream starts from an
`ItemTokens`.

Paths may differ in length: an item that needs fewer codes has -1 after them. No item's path may be
the beginning of another's, so that where a path ends is never a choice; paths of words end in a
code of their own for it.

    encode   rows to codes             append   new items, without moving a published code
    decode   codes to rows             save / load, fingerprint

Shapes      N items, L levels, S = L - 1 semantic levels, M new items, D width of vectors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from itemlm import __version__
from itemlm.data.folder import new_folder
from itemlm.tokenize.lookup import RowLookup, prefix_groups, rank_within
from itemlm.tokenize.quantizer import Quantizer
from itemlm.tokenize.scalar import ScalarQuantizer
from itemlm.tokenize.trie import Trie
from itemlm.types import ArtifactError, ConfigError, DataError, FloatArray, IntArray, ItemId

FORMAT = "itemlm item tokens"
FORMAT_VERSION = 1
ITEMS = "items.json"
LARGEST_CODE = 2**31 - 1  # as 32 bits hold it
SPARE = 8  # free last codes that fitting leaves for later items, even in the largest group


@dataclass(frozen=True, kw_only=True)
class Ancestor:
    """Earlier tokens of a lineage.

    Attributes:
        step: what was done to them: "append" or "refit".
        fingerprint: theirs.
        items: how many they had.
    """

    step: str
    fingerprint: str
    items: int


@dataclass(frozen=True, eq=False)
class ItemTokens:
    """One unique tuple of codes per item; checked when made, and never changed.

    Attributes:
        codes_NL: [N, L] int32, read-only; -1 after the end of a shorter path.
        levels: how many codes each level has; codes run from 0.
        quantizer: how vectors get their semantic codes; None where codes came from elsewhere.
        shared: whether a code means the same on every level, as words do and cluster numbers
            do not.
        lineage: the tokens that these grew out of, the oldest first.

    Raises:
        DataError: if a code is out of range, or the path of an item is another's or begins it.
    """

    codes_NL: IntArray
    levels: tuple[int, ...]
    quantizer: Quantizer | ScalarQuantizer | None = None
    shared: bool = False
    lineage: tuple[Ancestor, ...] = ()

    def __post_init__(self) -> None:
        codes = np.asarray(self.codes_NL)
        levels = tuple(int(size) for size in self.levels)
        if codes.ndim != 2 or 0 in codes.shape or not np.issubdtype(codes.dtype, np.integer):
            raise DataError(
                f"codes must be whole numbers [items, levels] with at least one of each, not "
                f"{codes.dtype} of shape {codes.shape}."
            )
        if codes.max() > LARGEST_CODE:
            raise DataError(f"a code is {codes.max()}, but {LARGEST_CODE} is the most possible.")
        if len(levels) != codes.shape[1]:
            raise DataError(f"codes have {codes.shape[1]} levels, but sizes are given as {levels}.")
        if self.shared and len(set(levels)) > 1:
            raise DataError(f"codes that are shared by all levels have one size, not {levels}.")
        if self.quantizer is not None and self.quantizer.levels != levels[:-1]:
            raise DataError(
                f"the semantic levels have sizes {levels[:-1]}, but the codebooks have "
                f"{self.quantizer.levels}."
            )
        ended_NL = np.logical_and.accumulate(codes[:, ::-1] == -1, axis=1)[:, ::-1]
        ended_NL[:, 0] = False  # a path has at least one code
        outside_NL = ((codes < 0) & ~ended_NL) | (codes >= np.array(levels))
        if outside_NL.any():
            row, level = np.argwhere(outside_NL)[0]
            raise DataError(
                f"the item in row {row} has code {codes[row, level]} on level {level}, whose codes "
                f"run from 0 to {levels[level] - 1}."
            )
        _refuse_same_paths(codes)
        codes_NL = np.array(codes, dtype=np.int32, order="C")
        codes_NL.setflags(write=False)
        object.__setattr__(self, "codes_NL", codes_NL)
        object.__setattr__(self, "levels", levels)

    def __len__(self) -> int:
        return len(self.codes_NL)

    @property
    def semantic_codes(self) -> IntArray:
        """[N, S] the codes without the last level, which items may share."""
        return self.codes_NL[:, :-1]

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when a code or the size of a level does."""
        named = {"codes": self.codes_NL, "levels": np.array(self.levels)}
        return _digest(named | ({"shared": np.ones(1)} if self.shared else {}))[:12]

    @cached_property
    def lengths_N(self) -> IntArray:
        """[N] the codes of each path."""
        lengths_N: IntArray = (self.codes_NL >= 0).sum(axis=1)
        return lengths_N

    @cached_property
    def bodies_NL(self) -> IntArray:
        """[N, L] each path without its last code, -1 from there on."""
        bodies_NL = self.codes_NL.copy()
        bodies_NL[np.arange(len(self)), self.lengths_N - 1] = -1
        return bodies_NL

    # --- Looking up ---------------------------------------------------------------------------

    def encode(self, rows: IntArray) -> IntArray:
        """[..., L] the codes of items; those of row -1, which is no item, are all -1.

        Raises:
            DataError: if a row is not in the catalog.
        """
        rows = np.asarray(rows)
        if rows.size and (rows.min() < -1 or rows.max() >= len(self)):
            wrong = rows.min() if rows.min() < -1 else rows.max()
            raise DataError(f"there is no item in row {wrong}; rows run from 0 to {len(self) - 1}.")
        return np.where(rows[..., None] >= 0, self.codes_NL[rows], np.int32(-1))

    def decode(self, codes: IntArray) -> IntArray:
        """[...] the row of each tuple of codes [..., L], -1 where it is no item's.

        Raises:
            DataError: if the tuples do not have L codes.
        """
        codes = np.asarray(codes)
        if codes.ndim == 0 or codes.shape[-1] != len(self.levels):
            raise DataError(
                f"tuples must have {len(self.levels)} codes, one per level, but the codes given "
                f"have shape {codes.shape}."
            )
        rows = self._lookup.rows(codes.reshape(-1, len(self.levels)))
        return rows.reshape(codes.shape[:-1])

    @cached_property
    def _lookup(self) -> RowLookup:
        return RowLookup(self.codes_NL, self.levels)

    def trie(self) -> Trie:
        """Which codes may follow which, for constrained decoding."""
        return Trie.build(self.codes_NL)

    # --- Growing ------------------------------------------------------------------------------

    def append(self, vectors_MD: FloatArray, seed: int = 0) -> ItemTokens:
        """These tokens with new items in the rows after the last; no published code moves.

        A new item gets the semantic codes of its vector, and the lowest last code that is free
        among the items that share them.

        Args:
            vectors_MD: made by the item encoder that made the fitted vectors.
            seed: shuffles new items that tie, so that last codes say nothing about row order.

        Raises:
            ConfigError: if the last level is full, or these tokens do not come from vectors.
            DataError: if the vectors are not finite or not of the fitted width.
        """
        if self.quantizer is None:
            raise ConfigError(
                "these tokens were not made from vectors, so they cannot place new items; fit them "
                "anew on the whole catalog."
            )
        return self.append_codes(self.quantizer.codes(vectors_MD), seed)

    def append_codes(self, new_MS: IntArray, seed: int = 0) -> ItemTokens:
        """As `append`, for new items whose semantic codes are known.

        Args:
            new_MS: their semantic codes.
            seed: shuffles new items that tie.

        Raises:
            ConfigError: if the last level is full.
        """
        if not len(new_MS):
            return self
        group = prefix_groups(np.concatenate([self.semantic_codes, new_MS]))
        touched_G, group_M = np.unique(group[len(self) :], return_inverse=True)
        group_N = np.searchsorted(touched_G, group[: len(self)])
        inside_N = touched_G[np.minimum(group_N, len(touched_G) - 1)] == group[: len(self)]
        taken_GC = np.zeros((len(touched_G), self.levels[-1]), dtype=bool)
        taken_GC[group_N[inside_N], self.codes_NL[inside_N, -1]] = True

        rank_M = rank_within(group_M, np.random.default_rng(seed).permutation(len(new_MS)))
        full_M = rank_M >= (~taken_GC).sum(axis=1)[group_M]
        if full_M.any():
            member = int(np.argmax(full_M))
            taken, new = taken_GC[group_M[member]].sum(), (group_M == group_M[member]).sum()
            need = int(np.bincount(group_M).max())
            raise ConfigError(
                f"{new} new items and {taken} known ones have the codes "
                f"{tuple(new_MS[member].tolist())}, but the last level tells only "
                f"{self.levels[-1]} items apart. Fit the tokens anew on the whole catalog, "
                f"which leaves room again, or from Python with spare={need} or more."
            )
        free_GC = np.argsort(taken_GC, axis=1, kind="stable")
        last_M = free_GC[group_M, rank_M]
        codes_NL = np.concatenate([self.codes_NL, np.column_stack([new_MS, last_M])])
        return replace(self, codes_NL=codes_NL, lineage=(*self.lineage, self.ancestor("append")))

    def ancestor(self, step: str) -> Ancestor:
        """These tokens as an entry in the lineage of those that a step makes of them."""
        return Ancestor(step=step, fingerprint=self.fingerprint, items=len(self))

    # --- Keeping ------------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything, as named arrays."""
        named: dict[str, np.ndarray[Any, Any]] = {
            "codes": self.codes_NL,
            "levels": np.array(self.levels, dtype=np.int64),
        }
        if self.shared:
            named["shared"] = np.ones(1, dtype=np.int64)
        if self.quantizer is not None:
            parts = self.quantizer.arrays().items()
            named.update({f"quantizer.{name}": array for name, array in parts})
        return named

    @classmethod
    def from_arrays(cls, named: Mapping[str, np.ndarray[Any, Any]]) -> ItemTokens:
        """Back from `arrays()`."""
        prefix = "quantizer."
        parts = {
            name.removeprefix(prefix): array
            for name, array in named.items()
            if name.startswith(prefix)
        }
        kind = ScalarQuantizer if "digits" in parts else Quantizer
        return cls(
            codes_NL=named["codes"],
            levels=tuple(named["levels"].tolist()),
            quantizer=kind.from_arrays(parts) if parts else None,
            shared="shared" in named,
        )

    def save(self, path: str | Path, item_ids: Sequence[ItemId] | None = None) -> None:
        """Write tokens.json and one .npy per array to a folder that appears whole or not at all.

        Args:
            path: the folder.
            item_ids: whose codes these are, in row order, kept as items.json: what is needed to
                carry them over to a catalog with other items (see `published`).

        Raises:
            DataError: if there is not one id per item.
        """
        if item_ids is not None and len(item_ids) != len(self):
            raise DataError(f"there are {len(self)} items but {len(item_ids)} ids.")
        named = self.arrays()
        with new_folder(Path(path)) as folder:
            for name, array in named.items():
                np.save(folder / f"{name}.npy", array)
            manifest = {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "items": len(self),
                "levels": list(self.levels),
                "fingerprint": self.fingerprint,
                "arrays": list(named),
                "checksum": _digest(named),
                "itemlm": __version__,
                "codebooks": None if self.quantizer is None else _digest(self.quantizer.arrays()),
                "lineage": [asdict(ancestor) for ancestor in self.lineage],
            }
            if item_ids is not None:
                ids = json.dumps(list(item_ids), ensure_ascii=False)
                (folder / ITEMS).write_text(ids, encoding="utf-8")
                manifest["items_checksum"] = hashlib.sha256(ids.encode()).hexdigest()
            (folder / "tokens.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> ItemTokens:
        """Read a saved folder.

        Raises:
            ArtifactError: if it is no saved tokens, of another version, incomplete or changed.
        """
        folder = Path(path)
        if not (folder / "tokens.json").exists():
            raise ArtifactError(f"{folder} does not hold item tokens: it has no tokens.json.")
        try:
            manifest = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
            if manifest["version"] != FORMAT_VERSION:
                raise ArtifactError(
                    f"{folder} has format version {manifest['version']}, this itemlm reads "
                    f"{FORMAT_VERSION}. Fit and save the tokens again with this version."
                )
            names = [str(name) for name in manifest["arrays"]]
            named = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in names}
            whole = _digest(named) == manifest["checksum"]
            lineage = tuple(Ancestor(**entry) for entry in manifest.get("lineage", ()))
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{folder} is damaged: {error}. Copy it again or refit.") from error
        if not whole:
            raise ArtifactError(
                f"{folder} is not what was saved (its checksum differs). Copy the folder again or "
                "fit the tokens anew."
            )
        return replace(cls.from_arrays(named), lineage=lineage)


def unique(
    codes_NS: IntArray,
    levels: Sequence[int],
    seed: int,
    *,
    spare: int = SPARE,
    quantizer: Quantizer | ScalarQuantizer | None = None,
) -> ItemTokens:
    """Item tokens from semantic codes that items may share, by adding a last level.

    Items that share all semantic codes get last codes 0, 1, 2, ... in an order shuffled by seed:
    row order often follows time or popularity, which the codes must not give away. The last level
    has room for the largest group of ties and `spare` more, rounded up to a power of two.

    Args:
        codes_NS: semantic codes.
        levels: sizes of the semantic levels.
        seed: of the shuffle.
        spare: last codes to keep free for later items, even in the largest group.
        quantizer: where the codes came from vectors.

    Raises:
        ConfigError: if `spare` is negative.
        DataError: if a code is out of range.
    """
    if spare < 0:
        raise ConfigError(f"spare is {spare}, but it counts codes to keep free: 0 or more.")
    codes_NS = np.asarray(codes_NS)
    order_N = np.random.default_rng(seed).permutation(len(codes_NS))
    last_N = rank_within(prefix_groups(codes_NS), order_N)
    room = 1 << int(last_N.max(initial=0) + spare).bit_length()
    return ItemTokens(np.column_stack([codes_NS, last_N]), (*levels, room), quantizer)


def _refuse_same_paths(codes_NL: IntArray) -> None:
    group_N = prefix_groups(codes_NL)
    shared_N = np.bincount(group_N)[group_N] > 1
    if shared_N.any():
        rows = np.flatnonzero(group_N == group_N[np.argmax(shared_N)])
        more = int(shared_N.sum()) - len(rows)
        raise DataError(
            f"the items in rows {', '.join(map(str, rows[:5]))}{' ...' if len(rows) > 5 else ''} "
            f"have the same codes {tuple(codes_NL[rows[0]].tolist())}"
            f"{f', and {more} others share theirs' if more else ''}. Semantic IDs must be unique; "
            "`unique(codes, levels, seed)` adds a last code that tells such items apart."
        )
    # In lexicographic order -1 comes first: the end of a path stands before what goes on.
    order_N = np.lexsort(codes_NL.T[::-1])
    before_XL, after_XL = codes_NL[order_N[:-1]], codes_NL[order_N[1:]]
    begins_X = np.all((before_XL == after_XL) | (before_XL < 0), axis=1)
    if begins_X.any():
        short, long = order_N[[int(np.argmax(begins_X)), int(np.argmax(begins_X)) + 1]]
        raise DataError(
            f"the path of the item in row {short} is the beginning of that of row {long}, so a "
            "search could not tell where it ends. Let every path end in a code of its own for it."
        )


def _digest(named: Mapping[str, np.ndarray[Any, Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in named.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
