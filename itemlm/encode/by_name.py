"""Encoders by name, for settings and the command line.

Shapes      N items, D width.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.data.folder import cache_folder
from itemlm.encode import ItemEncoder
from itemlm.encode.cache import cached
from itemlm.encode.onnx import OnnxEncoder, is_exported
from itemlm.types import ConfigError, DataError, FloatArray

COLLABORATIVE_WIDTH = 128


def encoder_named(name: str) -> ItemEncoder:
    """Either "lsa", a folder with an exported encoder, or a sentence-transformers model.

    Raises:
        ConfigError: if the name is empty.
        ArtifactError: if an exported encoder is damaged.
        MissingExtra: if what the encoder runs on is not installed.
    """
    if not name:
        raise ConfigError("the encoder has no name; say lsa, or the folder or name of a model.")
    if name == "lsa":
        from itemlm.encode.lsa import LSA

        return LSA()
    if is_exported(name):
        return OnnxEncoder(name)
    from itemlm.encode.sentence import SentenceTransformerEncoder

    return SentenceTransformerEncoder(name)


def vectors_of(dataset: Dataset, name: str, seed: int = 0) -> FloatArray:
    """[N, D] one vector per item, from what `name` names.

    Args:
        dataset: the training part.
        name: "collaborative" for vectors from who took what; a file ending in .npy that holds one
            vector per item, in row order; else an encoder of texts, as `encoder_named` has them.
            Several joined by "+", such as "lsa+collaborative", are put side by side.
        seed: of collaborative vectors.

    Vectors of sentence encoders are kept in the cache folder, by content.

    Raises:
        DataError: if a file is no matrix of finite numbers with one row per item, or if there is
            nothing to make vectors from.
        ArtifactError: if an exported encoder is damaged.
        MissingExtra: if what an encoder runs on is not installed.
    """
    parts = name.split("+")
    if len(parts) > 1 and not Path(name).exists():
        from itemlm.encode.fused import concatenated

        return concatenated([vectors_of(dataset, part, seed) for part in parts])
    if name == "collaborative":
        from itemlm.encode.behavior import behavior_vectors

        return behavior_vectors(dataset, COLLABORATIVE_WIDTH, seed)
    if name.endswith(".npy"):
        return vectors_in(Path(name), len(dataset.items))
    from itemlm.text.describe import describe

    encoder, texts = encoder_named(name), describe(dataset)
    if name == "lsa":  # which is as quick as reading, and fits itself to the texts
        return encoder.encode(texts)
    return cached(encoder, texts, cache_folder() / "vectors")


def vectors_in(path: Path, items: int) -> FloatArray:
    """[N, D] float32 vectors from a file, checked.

    Raises:
        DataError: if it is no matrix of finite numbers with one row per item.
    """
    try:
        vectors_ND = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a NumPy file of vectors: {error}.") from error
    if vectors_ND.ndim != 2 or not np.issubdtype(vectors_ND.dtype, np.number):
        raise DataError(
            f"{path} holds {vectors_ND.dtype} of shape {vectors_ND.shape}, but must hold a matrix "
            "of numbers, one row per item."
        )
    if len(vectors_ND) != items:
        raise DataError(
            f"{path} holds {len(vectors_ND)} vectors, but the catalog has {items} items. There "
            "must be one row per item, in the order of the catalog."
        )
    broken_N = ~np.isfinite(vectors_ND).all(axis=1)
    if broken_N.any():
        raise DataError(
            f"{int(broken_N.sum())} of the {items} vectors in {path} hold NaN or infinity, first "
            f"in row {int(broken_N.argmax())}."
        )
    return np.ascontiguousarray(vectors_ND, dtype=np.float32)
