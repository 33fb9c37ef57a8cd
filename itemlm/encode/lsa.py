"""LSA: item vectors from word statistics alone. No download, no PyTorch, seconds on a laptop.

Texts become TF-IDF weights of their words and word pairs, and a singular value decomposition keeps
the directions in which the catalog varies most: texts that share rare words, or words that occur
together elsewhere, come out close. Directions are fitted on the texts given, so vectors of two
calls cannot be compared with each other.

Deerwester, Dumais, Furnas, Landauer and Harshman, "Indexing by latent semantic analysis", JASIS
1990.

Shapes      N texts, M distinct texts, V words and word pairs, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itemlm.types import ConfigError, DataError, FloatArray

TINY = 100  # distinct texts; below, words that occur once are kept as well
NEGLIGIBLE = 1e-5  # directions this weak, relative to the strongest, are rounding errors


@dataclass(frozen=True, kw_only=True)
class LSA:
    """Latent semantic analysis with scikit-learn.

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
        vectors_MD = self._fit(distinct.tolist())
        lengths_M1 = np.linalg.norm(vectors_MD, axis=1, keepdims=True)
        unit_MD = np.divide(vectors_MD, lengths_M1, where=lengths_M1 > 0, out=vectors_MD)
        vectors_ND: FloatArray = unit_MD[place_N]
        return vectors_ND

    def _fit(self, texts: list[str]) -> FloatArray:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(
            sublinear_tf=True,
            ngram_range=(1, 2),
            min_df=2 if len(texts) >= TINY else 1,
            strip_accents="unicode",
            dtype=np.float32,
        )
        try:
            weights_MV = words.fit_transform(texts)
        except ValueError as error:  # scikit-learn's "empty vocabulary"
            example = f"; the first is {texts[0]!r}" if texts else ""
            raise DataError(
                f"none of the {len(texts)} distinct texts has a word to tell items apart"
                f"{example}. Give the catalog titles or categories."
            ) from error
        svd = TruncatedSVD(min(self.width, *weights_MV.shape), random_state=self.seed)
        with np.errstate(invalid="ignore"):  # a single text has no variance to explain
            svd.fit(weights_MV)
        strong = svd.singular_values_ > NEGLIGIBLE * svd.singular_values_[0]
        vectors_MD: FloatArray = weights_MV @ svd.components_[strong].T
        return vectors_MD.astype(np.float32)
