"""A vector for every item's text, made when the service starts and kept for its next start.

They find what is alike: stand-ins for arrived items, similar items, searches by meaning, variety
within a slate. The default needs no download: LSA, with directions fitted on a sample of the
catalog. Any other item encoder can be named, above all an exported ONNX encoder.

Shapes      N items, M texts, D width.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from itemlm.encode import ItemEncoder
from itemlm.encode.by_name import encoder_named
from itemlm.encode.cache import cached
from itemlm.encode.lsa import LSA, FittedLSA
from itemlm.text.describe import PLACEHOLDER, default_template, describe
from itemlm.types import ArtifactError, DataError, FloatArray

WIDTH = 128  # of LSA vectors
FITTED_ON = 20_000  # texts at most; directions hardly change with more, and starting stays quick


@dataclass(frozen=True, eq=False)
class TextVectors:
    """How a catalog's rows become vectors.

    Attributes:
        template: which columns a text is made of (see `itemlm.text.describe`).
        encoder: texts to vectors.
        vectors_ND: of the items that were there at the start, of length 1 or 0.
    """

    template: str
    encoder: ItemEncoder
    vectors_ND: FloatArray

    @classmethod
    def of(
        cls,
        table: pl.DataFrame,
        encoder: str,
        folder: Path,
        described: list[str] | None = None,
    ) -> TextVectors | None:
        """Those of a catalog; None if it has no text.

        Args:
            table: the catalog.
            encoder: "lsa", or what `encoder_named` takes.
            folder: where they are kept for another start.
            described: `describe(table)`, where somebody has made it already.

        Raises:
            ConfigError, MissingExtra: if there is no such encoder.
        """
        try:
            template = default_template(table)
        except DataError:
            return None
        texts = described or describe(table, template)
        made: ItemEncoder | None = encoder_named(encoder)
        if encoder == "lsa":
            made = _fitted(texts, folder)
        if made is None:
            return None
        return cls(template, made, _unit(cached(made, texts, folder)))

    def encode(self, table: pl.DataFrame) -> FloatArray:
        """[N, D] of catalog rows, whose columns may be more or fewer than at the start."""
        missing = [
            pl.lit(None, dtype=pl.String).alias(name)
            for name in dict.fromkeys(PLACEHOLDER.findall(self.template))
            if name not in table.columns
        ]
        return self.of_texts(describe(table.with_columns(missing), self.template))

    def of_texts(self, texts: list[str]) -> FloatArray:
        """[M, D] of any texts."""
        return _unit(np.asarray(self.encoder.encode(texts), dtype=np.float32))


def _fitted(texts: list[str], folder: Path) -> FittedLSA | None:
    """LSA directions of a catalog; None if no text has a word."""
    distinct = sorted(set(texts))
    if len(distinct) > FITTED_ON:
        chosen = np.random.default_rng(0).choice(len(distinct), FITTED_ON, replace=False)
        distinct = [distinct[place] for place in np.sort(chosen)]
    digest = hashlib.sha256("\0".join([str(WIDTH), *distinct]).encode()).hexdigest()[:32]
    path = folder / f"lsa-{digest}"
    try:
        return FittedLSA.load(path)
    except (ArtifactError, OSError, ValueError, KeyError, EOFError):
        pass
    try:
        fitted = LSA(width=WIDTH).fitted(distinct)
    except DataError:
        return None
    if not path.exists():
        fitted.save(path)
    return fitted


def _unit(vectors_MD: FloatArray) -> FloatArray:
    length_M1 = np.linalg.norm(vectors_MD, axis=1, keepdims=True)
    unit_MD: FloatArray = np.divide(
        vectors_MD, length_M1, out=np.zeros_like(vectors_MD), where=length_M1 > 0
    )
    return unit_MD
