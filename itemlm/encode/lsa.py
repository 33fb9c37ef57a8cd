"""LSA: item vectors from word statistics alone. No download, no PyTorch, seconds on a laptop.

Texts become TF-IDF weights of their words and word pairs, and a singular value decomposition keeps
the directions in which the catalog varies most: texts that share rare words, or words that occur
together elsewhere, come out close. Directions are fitted on the texts given, so vectors of two
calls cannot be compared with each other; those of one `FittedLSA` can.

Deerwester, Dumais, Furnas, Landauer and Harshman, "Indexing by latent semantic analysis", JASIS
1990. The decomposition is that of Halko, Martinsson and Tropp, "Finding structure with randomness",
SIAM Review 2011, algorithm 4.4.

Shapes      N texts, M distinct texts, V words and word pairs, D width, L directions sought.
Memory      About 32 (M + V) L bytes, with L = width + 10, besides the texts and the weights: 0.3 GB
            for 12,000 products with 22,000 words and pairs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itemlm.data.folder import new_folder
from itemlm.encode.tfidf import Terms, fitted_terms
from itemlm.sparse import CSR
from itemlm.types import ConfigError, DataError, FloatArray

TINY = 100  # distinct texts; below, words that occur once are kept as well
NEGLIGIBLE = 1e-5  # directions this weak, relative to the strongest, are rounding errors
SPARE = 10  # directions sought beyond those wanted, which makes the last of these better
POWERS = 5  # rounds that turn the directions found toward the strongest


@dataclass(frozen=True, kw_only=True)
class LSA:
    """Latent semantic analysis.

    Attributes:
        width: most numbers per vector; fewer where the texts span fewer directions.
        seed: of the randomized decomposition.
    """

    width: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"width is {self.width}, but a vector needs at least 1 number.")

    @property
    def name(self) -> str:
        """Settings, for the cache."""
        return f"lsa width={self.width} seed={self.seed}"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[N, D] float32 of length 1, or of length 0 where a text has no known word.

        Every distinct text is weighed once, in sorted order: the vectors depend neither on the
        order of the texts nor on how often one is repeated.

        Raises:
            DataError: if no text has a word.
        """
        distinct, place_N = np.unique(np.array(texts, dtype=str), return_inverse=True)
        weights_MV, _, directions_VD = self._fit(distinct.tolist())
        vectors_ND: FloatArray = _unit(weights_MV @ directions_VD)[place_N]
        return vectors_ND

    def fitted(self, texts: Sequence[str]) -> FittedLSA:
        """The directions of these texts, to encode others with.

        Raises:
            DataError: if no text has a word.
        """
        _, terms, directions_VD = self._fit(np.unique(np.array(texts, dtype=str)).tolist())
        return FittedLSA(terms, directions_VD)

    def _fit(self, texts: list[str]) -> tuple[CSR, Terms, FloatArray]:
        weights_MV, terms = fitted_terms(texts, min_texts=2 if len(texts) >= TINY else 1)
        if 0 in weights_MV.shape:
            example = f"; the first is {texts[0]!r}" if texts else ""
            raise DataError(
                f"none of the {len(texts)} distinct texts has a word to tell items apart"
                f"{example}. Give the catalog titles or categories."
            )
        return weights_MV, terms, strongest_directions(weights_MV, self.width, self.seed)


@dataclass(frozen=True, eq=False)
class FittedLSA:
    """Latent semantic analysis that keeps what it learned, so that any text gets a vector by it.

    Attributes:
        terms: words and pairs that it knows; others say nothing to it.
        directions_VD: what each contributes.
    """

    terms: Terms
    directions_VD: FloatArray

    @property
    def width(self) -> int:
        """D."""
        return int(self.directions_VD.shape[1])

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[N, D] float32 of length 1, or of length 0 where a text has no known word."""
        distinct, place_N = np.unique(np.array(texts, dtype=str), return_inverse=True)
        weights_MV = self.terms.weigh(distinct.tolist())
        vectors_ND: FloatArray = _unit(weights_MV @ self.directions_VD)[place_N]
        return vectors_ND

    @property
    def name(self) -> str:
        """How it was made."""
        return f"lsa of {len(self.terms.names)} terms width={self.width}"

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Its numbers, by name."""
        return {"rarity": self.terms.rarity_V, "directions": self.directions_VD}

    def document(self) -> str:
        """Its terms, as JSON."""
        return json.dumps(list(self.terms.names))

    @classmethod
    def restored(cls, named: Mapping[str, np.ndarray[Any, Any]], document: str) -> FittedLSA:
        """Back from `arrays()` and `document()`."""
        return cls(Terms(json.loads(document), named["rarity"]), named["directions"])

    def save(self, path: Path) -> None:
        """Write to a folder that appears whole or not at all."""
        with new_folder(path) as folder:
            for name, array in self.arrays().items():
                np.save(folder / f"{name}.npy", array)
            (folder / "terms.json").write_text(self.document(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> FittedLSA:
        """Read a saved folder."""
        named = {file.stem: np.load(file, allow_pickle=False) for file in path.glob("*.npy")}
        return cls.restored(named, (path / "terms.json").read_text(encoding="utf-8"))


def _unit(vectors_MD: FloatArray) -> FloatArray:
    lengths_M1 = np.linalg.norm(vectors_MD, axis=1, keepdims=True)
    unit_MD: FloatArray = np.divide(vectors_MD, lengths_M1, where=lengths_M1 > 0, out=vectors_MD)
    return unit_MD


def strongest_directions(weights_MV: CSR, width: int, seed: int) -> FloatArray:
    """[V, D] the right singular vectors of the largest singular values, largest first.

    Rounds of products with the matrix and its transpose draw random vectors into the space of the
    strongest directions; within that small space the decomposition is exact.

    Args:
        weights_MV: float32.
        width: most directions; fewer come back where the others are negligible.
        seed: of the random vectors.
    """
    weights_VM = weights_MV.transposed()
    texts, terms = weights_MV.shape
    sought = min(width + SPARE, texts, terms)
    rng = np.random.default_rng(seed)
    basis_ML = rng.standard_normal((texts, sought), dtype=np.float32)
    for _ in range(POWERS):
        basis_ML = np.linalg.qr(weights_MV @ (weights_VM @ basis_ML)).Q
    basis_VL = np.linalg.qr(weights_VM @ basis_ML).Q
    small_LL = np.linalg.qr(weights_MV @ basis_VL, mode="r")  # same right singular vectors
    _, value_L, turn_LL = np.linalg.svd(small_LL)
    strong_L = value_L > NEGLIGIBLE * value_L[0]
    strong_L[width:] = False
    directions_VD: FloatArray = basis_VL @ turn_LL[strong_L].T
    return directions_VD
