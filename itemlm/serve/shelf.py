"""Shelf: the model versions of a service, of which one is active and the last is kept at hand.

A version is a saved recommender; its name is its folder's. A model takes its place only when it has
been read, checked, brought up to date with all item changes and warmed up, so nobody waits for it
and nobody is answered by half of it. Which model is active is written down, and holds after a
restart.

Shapes      N items.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from itemlm.data.vocabulary import query_batch
from itemlm.fitting import load_recommender
from itemlm.recommender import Recommender
from itemlm.serve.http.errors import ApiError
from itemlm.serve.live_table import Fields, stored_id
from itemlm.serve.release import Release
from itemlm.serve.store.rows import ItemChange
from itemlm.serve.store.store import Store
from itemlm.types import ArtifactError, ConfigError, DataError, ItemId, Query

WARM_UP = (1, 2, 4, 8, 16, 32, 64)  # questions at a time
HISTORY = 50  # items of the longest history to warm up with


class Shelf:
    """Versions by name. Reading takes no lock; loading and changing take one.

    Args:
        folders: of the saved recommenders, by name; the first is active unless another one was
            activated before.
        store: knows item changes and activations.
        encoder: of item texts.
        cache: folder where vectors of texts are kept.
        counts: how often items were taken before the service started, by id as text.
        more: a folder in which further saved recommenders appear while the service runs.
        keep: releases that stay in memory besides the active one.

    Raises:
        ArtifactError: if a saved recommender cannot be read.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        store: Store,
        *,
        encoder: str,
        cache: Path,
        counts: Mapping[str, int],
        more: Path | None = None,
        keep: int = 2,
    ) -> None:
        if not folders:
            raise ConfigError("a service needs at least one saved recommender.")
        self._folders, self._store, self._more = dict(folders), store, more
        self._encoder, self._cache, self._counts = encoder, cache, dict(counts)
        self._keep = keep
        self._lock = threading.RLock()
        self._releases: dict[str, Release] = {}  # the first to be loaded comes first
        self._patches: dict[str, dict[str, object] | None] = {}
        self._left: dict[str, dict[str, object]] = {}  # patches of items when they were removed
        self._remember(store.item_changes())
        self._add_stored_counts()
        names = [row.model for row in store.activations(50)]
        known = [name for name in names if name in self.names()]
        self._active = known[0] if known else next(iter(folders))
        self._previous = next((name for name in known if name != self._active), None)
        self._load(self._active)
        if not names:
            store.activate(self._active)

    # --- Reading --------------------------------------------------------------------------------

    @property
    def active(self) -> Release:
        """The release that answers where no other is named."""
        return self._releases[self._active]

    @property
    def previous(self) -> str | None:
        """What a rollback would activate."""
        return self._previous

    def names(self) -> list[str]:
        """All versions that could be activated."""
        found = dict(self._folders)
        if self._more is not None and self._more.is_dir():
            for folder in sorted(self._more.iterdir()):
                if not folder.name.startswith(".") and _is_saved(folder):
                    found.setdefault(folder.name, folder)
        return list(found)

    def loaded(self, name: str) -> Release | None:
        """A release if it is in memory."""
        return self._releases.get(name)

    def manifest(self, name: str) -> dict[str, Any]:
        """What the manifest of a version says, without loading its weights."""
        path = self._folder(name)
        path = path if (path / "manifest.json").exists() else path / "model"
        try:
            manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"model '{name}' cannot be read: {error}.") from error
        return manifest

    # --- Changing -------------------------------------------------------------------------------

    def release(self, name: str | None = None) -> Release:
        """A release, read and warmed up first if it is not in memory.

        Raises:
            ApiError: if there is no such version.
            ArtifactError: if it cannot be read.
        """
        if name is None:
            return self.active
        release = self._releases.get(name)
        if release is not None:
            return release
        with self._lock:
            return self._releases.get(name) or self._load(name)

    def activate(self, name: str) -> Release:
        """Let a version answer from now on; it is loaded and warmed up before it does.

        Raises:
            ApiError: if there is no such version.
            ArtifactError: if it cannot be read; the active one goes on.
        """
        with self._lock:
            release = self.release(name)
            if name != self._active:
                self._store.activate(name)
                self._previous, self._active = self._active, name
            return release

    def rollback(self) -> Release:
        """Activate the version that was active before.

        Raises:
            ApiError: if there is none.
        """
        with self._lock:
            if self._previous is None:
                raise ApiError("not_found", "No other model was active before, to roll back to.")
            return self.activate(self._previous)

    def change_items(self, changes: Sequence[tuple[ItemId, Fields | None]]) -> Release:
        """Write item changes down and bring all releases in memory up to date, the active first.

        Args:
            changes: checked fields to set, by item id; None removes the item.
        """
        with self._lock:
            merged: dict[str, dict[str, object] | None] = {}
            for item_id, fields in changes:
                key = str(item_id)
                before = merged.get(key) or self._patches.get(key) or self._left.get(key, {})
                merged[key] = None if fields is None else {**before, **fields}
            rows = [
                (item_id, None if fields is None else json.dumps(fields, default=str))
                for item_id, fields in merged.items()
            ]
            # Applied before it is written down: what could not be would fail at every start.
            changed = [_changed(release, changes) for release in self._releases.values()]
            self._remember(self._store.change_items(rows))
            for release in sorted(changed, key=lambda release: release.name != self._active):
                self._releases[release.name] = release
            return self.active

    def reload_counts(self) -> None:
        """Take popularity from the events that are stored by now."""
        with self._lock:
            self._add_stored_counts()
            for name, release in list(self._releases.items()):
                self._releases[name] = release.counted(self._all_counts)

    # --- Inside ---------------------------------------------------------------------------------

    def _add_stored_counts(self) -> None:
        self._all_counts = dict(self._counts)
        for item_id, count in self._store.item_counts().items():
            self._all_counts[item_id] = self._all_counts.get(item_id, 0) + count

    def _remember(self, changes: Sequence[ItemChange]) -> None:
        for change in changes:
            text = change.fields_json
            if text is None and (before := self._patches.get(change.item_id)):
                self._left[change.item_id] = before
            self._patches[change.item_id] = None if text is None else json.loads(text)

    def _folder(self, name: str) -> Path:
        """The folder of a version, by a name that is in the list: no path can be given."""
        if name in self._folders:
            return self._folders[name]
        if self._more is not None and name in self.names():
            return self._more / name
        raise ApiError(
            "not_found",
            f"There is no model {name!r}. There are: {', '.join(self.names())}.",
            field="model",
        )

    def _load(self, name: str) -> Release:
        recommender = load_recommender(self._folder(name))
        release = Release.of(
            name, recommender, self._all_counts, encoder=self._encoder, folder=self._cache
        )
        if self._patches:
            release = _changed(release, list(self._patches.items()))
        warm_up(release.live)
        self._releases[name] = release
        spare = [n for n in self._releases if n not in (self._active, self._previous, name)]
        for other in spare[: max(0, len(self._releases) - 1 - self._keep)]:
            del self._releases[other]
        return release


def _changed(release: Release, changes: Sequence[tuple[ItemId, Fields | None]]) -> Release:
    """A release with changes; items whose ids do not fit its catalog are left out and logged."""
    fitting = [change for change in changes if _fits(change[0], release)]
    if len(fitting) < len(changes):
        logging.getLogger("itemlm.serve").warning(
            "model '%s' leaves out %d changed items, whose ids cannot be in its catalog",
            release.name,
            len(changes) - len(fitting),
        )
    return release.changed(fitting)


def _fits(item_id: ItemId, release: Release) -> bool:
    try:
        stored_id(item_id, release.catalog.items)
    except DataError:
        return False
    return True


def warm_up(recommender: Recommender) -> None:
    """Ask a few questions, so that the first real one does not wait for what is made once."""
    ids = recommender.catalog.items.ids
    history = ids.head(HISTORY).to_list()
    for size in WARM_UP:
        queries = [Query(history=history[: 1 + place % len(history)]) for place in range(size)]
        recommender.topk(query_batch(queries, recommender.catalog.items), min(10, len(ids)))


def folder_names(folders: Sequence[Path]) -> dict[str, Path]:
    """Saved recommenders by the names of their folders.

    Raises:
        ArtifactError: if one is no saved recommender.
        ConfigError: if two have the same name.
    """
    named: dict[str, Path] = {}
    for folder in folders:
        if not _is_saved(folder):
            raise ArtifactError(
                f"{folder} is not a saved recommender. Make one with `itemlm fit ... --out`."
            )
        path = folder.resolve()
        name = path.parent.name if path.name == "model" else path.name
        if name in named:
            raise ConfigError(f"two models are called '{name}'; rename one of the folders.")
        named[name] = path
    return named


def _is_saved(folder: Path) -> bool:
    return any((folder / part / "manifest.json").exists() for part in (".", "model"))
