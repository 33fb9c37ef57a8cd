"""Encode: one vector per item, from its text or from who took it.

An encoder is anything with the three members of `ItemEncoder`. `lsa.LSA` needs no download and no
PyTorch and is the default; `sentence.SentenceTransformerEncoder` wraps any sentence-transformers
model, and `onnx.OnnxEncoder` reads one that was exported to be used without PyTorch; `behavior`
makes vectors from who took what, and `fused` one of several; `by_name.vectors_of` makes any of
them by name. `cache.cached` keeps those of sentence encoders on disk, so that no catalog is encoded
twice.

Shapes      N texts, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from itemlm.types import FloatArray


class ItemEncoder(Protocol):
    """Texts to vectors."""

    @property
    def width(self) -> int:
        """D, numbers per vector; the most there can be where it depends on the texts."""
        ...

    @property
    def name(self) -> str:
        """The model and every setting that changes its vectors; the cache goes by it."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[N, D] float32, one vector per text; equal texts get equal vectors."""
        ...
