"""One function for every dataset that has a name or a folder."""

from __future__ import annotations

import os
from pathlib import Path

from itemlm.data.dataset import Dataset
from itemlm.types import DataError, UnknownName


def load(name: str | os.PathLike[str]) -> Dataset:
    """A dataset by name, or from a folder that `Dataset.save` wrote.

    Args:
        name: "demo" (simulated viewers of real films), a public dataset such as "ml-100k", looked
            up in `$ITEMLM_DATA` before it is downloaded, or a folder.

    Raises:
        UnknownName: if it is neither, with the nearest name.
        DataError: if a download fails, with the way to place the files by hand.
    """
    if (Path(name) / "dataset.json").is_file():
        return Dataset.load(name)
    from itemlm.data import sources

    if str(name) == "demo":
        from itemlm.data.world import world

        return world().dataset
    if (Path(name) / "manifest.json").is_file() or (Path(name) / "model").is_dir():
        raise DataError(f"{name} holds a recommender; open it with itemlm.load_recommender.")
    if Path(name).is_file():
        raise DataError(f"{name} is a file; read it with itemlm.Dataset.from_files({str(name)!r}).")
    if str(name) not in sources.names():
        raise UnknownName("dataset", str(name), ["demo", *sources.names()])
    return sources.load(str(name))
