"""A cache of item vectors on disk, by content: encoding a catalog is paid once.

The file's name is a digest of the encoder's name and all texts, so a change in either encodes anew
and nothing has to be invalidated. Files are plain .npy and safe to delete.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from itemlm.encode import ItemEncoder
from itemlm.types import FloatArray


def cached(encoder: ItemEncoder, texts: Sequence[str], folder: str | Path) -> FloatArray:
    """`encoder.encode(texts)`, from disk if it has been computed before.

    Args:
        encoder: its `name` must tell apart all settings that matter.
        texts: [N].
        folder: made if it does not exist. A file that cannot be read is replaced.

    Returns:
        [N, D] float32.
    """
    path = Path(folder) / f"{_digest(encoder.name, texts)}.npy"
    if path.exists():
        try:
            found_ND: FloatArray = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError):
            found_ND = np.empty((0, 0))
        if found_ND.dtype == np.float32 and found_ND.ndim == 2 and len(found_ND) == len(texts):
            return found_ND
    vectors_ND = np.ascontiguousarray(encoder.encode(texts), dtype=np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.npy")
    try:
        np.save(aside, vectors_ND)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return vectors_ND


def _digest(name: str, texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for part in (name, *texts):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))  # so that "ab", "c" is not "a", "bc"
        digest.update(encoded)
    return digest.hexdigest()[:32]
