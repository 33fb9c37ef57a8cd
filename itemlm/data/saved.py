"""A saved dataset: tables as Parquet, arrays as NumPy files that are memory-mapped when read.

dataset.json       format, name, fingerprint, licence, notes, which arrays there are
users.parquet      user ids in the order of their rows
catalog.parquet    one row per item
profiles.parquet   one row per user, where there are any
offsets.npy, item_rows.npy, timestamps.npy, values.npy
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from itemlm.data.dataset import Dataset
from itemlm.data.folder import new_folder
from itemlm.data.sequences import Sequences
from itemlm.data.vocabulary import Vocabulary
from itemlm.types import ArtifactError

FORMAT_VERSION = 1


def write(dataset: Dataset, path: Path) -> None:
    """See `Dataset.save`."""
    arrays = dataset.sequences.arrays()
    with new_folder(path) as folder:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        dataset.users.ids.rename("user_id").to_frame().write_parquet(folder / "users.parquet")
        dataset.catalog.write_parquet(folder / "catalog.parquet")
        if dataset.profiles is not None:
            dataset.profiles.write_parquet(folder / "profiles.parquet")
        manifest = {
            "format": "itemlm dataset",
            "version": FORMAT_VERSION,
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "licence": dataset.licence,
            "notes": list(dataset.notes),
            "arrays": list(arrays),
        }
        (folder / "dataset.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def read(folder: Path) -> Dataset:
    """See `Dataset.load`."""
    if not (folder / "dataset.json").exists():
        raise ArtifactError(f"{folder} is not a saved dataset: it has no dataset.json.")
    try:
        return _read(folder)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise ArtifactError(
            f"{folder} is damaged ({error}). Make the dataset from its files again."
        ) from error


def _read(folder: Path) -> Dataset:
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
    return Dataset(
        name=manifest["name"],
        users=Vocabulary(pl.read_parquet(folder / "users.parquet")["user_id"]),
        items=Vocabulary(catalog["item_id"]),
        sequences=Sequences(**arrays),
        catalog=catalog,
        profiles=pl.read_parquet(profiles) if profiles.exists() else None,
        notes=tuple(manifest["notes"]),
        licence=manifest["licence"],
    )
