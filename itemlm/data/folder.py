"""Files and folders that appear whole or not at all: write aside, then rename."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itemlm.types import ArtifactError


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write into; it takes its name only on success.

    An older folder of the same name is replaced if it holds what itemlm wrote, and nothing else is.

    Raises:
        ArtifactError: if the name is a file's, or a folder's with other things in it.
    """
    path = path.resolve() if path.name in ("", "..") else path
    if path.is_file():
        raise ArtifactError(f"{path} is a file; choose another name for the folder.")
    if path.is_dir() and any(path.iterdir()) and not _is_ours(path):
        raise ArtifactError(
            f"{path} holds files that itemlm did not write, and would be replaced; choose a new "
            "folder."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    aside.mkdir()
    try:
        yield aside
        if path.exists():
            old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
            path.rename(old)
            aside.rename(path)
            shutil.rmtree(old)
        else:
            aside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


# What the folders that we write hold; one of the marks is in each.
_MARKS = ("manifest.json", "dataset.json", "tokens.json", "encoder.json")
_SUFFIXES = (".json", ".npy", ".parquet", ".safetensors", ".onnx")


def _is_ours(path: Path) -> bool:
    """Whether a folder was written by itemlm and nobody has put anything else into it."""
    inside = list(path.iterdir())
    return any(item.name in _MARKS for item in inside) and all(
        item.is_file() and item.suffix in _SUFFIXES for item in inside
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file; a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def cache_folder() -> Path:
    """Where what can be had again is kept: `$ITEMLM_CACHE`, else `~/.cache/itemlm`."""
    return Path(os.environ.get("ITEMLM_CACHE") or Path.home() / ".cache" / "itemlm")
