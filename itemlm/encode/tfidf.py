"""TF-IDF: how much each word, and each pair of neighboring words, says about a text.

A word weighs 1 + ln(times it occurs in the text), times 1 + ln((1 + N) / (1 + texts that have it)),
and the weights of a text are then scaled to length 1. Words are runs of two or more letters, digits
or underscores, in lower case and without accents. These are the conventions of scikit-learn's
TfidfVectorizer (sublinear, smoothed, unigrams and bigrams), with the same results.

Salton and Buckley, "Term-weighting approaches in automatic text retrieval", IPM 1988.

Shapes      N texts, V terms (words and word pairs), E words in all texts, Z pairs of text and term.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from itemlm.sparse import CSR, sum_by_key
from itemlm.types import FloatArray, IntArray

WORD = re.compile(r"\b\w\w+\b")


def words(text: str) -> list[str]:
    """The words of a text: "Crème, 5 oz" gives "creme" and "oz"."""
    text = text.lower()
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(mark for mark in decomposed if not unicodedata.combining(mark))
    return WORD.findall(text)


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of a collection of texts, by which later texts are weighed as well.

    Attributes:
        names: [V] words, and pairs of words with a space between.
        rarity_V: 1 + ln((1 + N) / (1 + texts that have it)) of each.
    """

    names: Sequence[str]
    rarity_V: FloatArray

    @cached_property
    def _column(self) -> dict[str, int]:
        return {name: column for column, name in enumerate(self.names)}

    def weigh(self, texts: Sequence[str]) -> CSR:
        """[N, V] float32 weights of the terms of these texts; terms that are not known are lost."""
        text_E: list[int] = []
        term_E: list[int] = []
        for text, found in enumerate(map(words, texts)):
            pairs = (" ".join(pair) for pair in pairwise(found))
            known = [self._column[term] for term in (*found, *pairs) if term in self._column]
            term_E += known
            text_E += [text] * len(known)
        shape = (len(texts), len(self.names))
        key_E = np.array(text_E, dtype=np.int64) * shape[1] + np.array(term_E, dtype=np.int64)
        key_Z, count_Z = sum_by_key(key_E, None, shape[0] * shape[1])
        return _weighed(*np.divmod(key_Z, max(shape[1], 1)), count_Z, self.rarity_V, len(texts))


def tfidf(texts: Sequence[str], min_texts: int) -> CSR:
    """[N, V] float32 weights of the terms that occur in at least so many texts."""
    return fitted_terms(texts, min_texts)[0]


def fitted_terms(texts: Sequence[str], min_texts: int) -> tuple[CSR, Terms]:
    """The weights of `tfidf`, and the terms that they are of."""
    texts_of_words = [words(text) for text in texts]
    length_N = np.array([len(found) for found in texts_of_words], dtype=np.int64)
    text_E = np.repeat(np.arange(len(texts)), length_N)
    number: dict[str, int] = {}
    word_E = np.array(
        [number.setdefault(word, len(number)) for found in texts_of_words for word in found],
        dtype=np.int64,
    )
    # A pair of words gets a number after those of all words, out of many that are not used.
    same_text = text_E[1:] == text_E[:-1]
    pair_E = len(number) * (1 + word_E[:-1]) + word_E[1:]
    text_E = np.concatenate([text_E, text_E[1:][same_text]])
    distinct, term_E = np.unique(np.concatenate([word_E, pair_E[same_text]]), return_inverse=True)
    key_Z, count_Z = sum_by_key(text_E * len(distinct) + term_E, None, len(texts) * len(distinct))
    text_Z, term_Z = np.divmod(key_Z, max(len(distinct), 1))

    texts_V = np.bincount(term_Z, minlength=len(distinct))
    kept_V = texts_V >= min_texts
    kept_Z = kept_V[term_Z]
    rarity_V = 1 + np.log((1 + len(texts)) / (1 + texts_V[kept_V]))
    text_Z, term_Z = text_Z[kept_Z], (np.cumsum(kept_V) - 1)[term_Z[kept_Z]]
    weights_NV = _weighed(text_Z, term_Z, count_Z[kept_Z], rarity_V, len(texts))

    spelled = list(number)
    first_V, last_V = np.divmod(distinct[kept_V], max(len(number), 1))
    names = [
        spelled[last] if not first else f"{spelled[first - 1]} {spelled[last]}"
        for first, last in zip(first_V.tolist(), last_V.tolist(), strict=True)
    ]
    return weights_NV, Terms(names, rarity_V)


def _weighed(
    text_Z: IntArray, term_Z: IntArray, count_Z: FloatArray, rarity_V: FloatArray, texts: int
) -> CSR:
    weight_Z = (1 + np.log(count_Z)) * rarity_V[term_Z]
    length_N = np.sqrt(np.bincount(text_Z, weight_Z**2, minlength=texts))
    weight_Z = (weight_Z / length_N[text_Z]).astype(np.float32)
    shape = (texts, len(rarity_V))
    return CSR.from_keys(text_Z * shape[1] + term_Z, weight_Z, shape)
