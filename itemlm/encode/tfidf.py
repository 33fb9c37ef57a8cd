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

import numpy as np

from itemlm.sparse import CSR, sum_by_key
from itemlm.types import IntArray

WORD = re.compile(r"\b\w\w+\b")


def words(text: str) -> list[str]:
    """The words of a text: "Crème, 5 oz" gives "creme" and "oz"."""
    text = text.lower()
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(mark for mark in decomposed if not unicodedata.combining(mark))
    return WORD.findall(text)


def tfidf(texts: Sequence[str], min_texts: int) -> CSR:
    """[N, V] float32 weights of the terms that occur in at least so many texts."""
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
    term_E = np.concatenate([word_E, pair_E[same_text]])
    return _weights(np.concatenate([text_E, text_E[1:][same_text]]), term_E, len(texts), min_texts)


def _weights(text_E: IntArray, term_E: IntArray, texts: int, min_texts: int) -> CSR:
    distinct, term_E = np.unique(term_E, return_inverse=True)
    key_Z, count_Z = sum_by_key(text_E * len(distinct) + term_E, None, texts * len(distinct))
    text_Z, term_Z = np.divmod(key_Z, max(len(distinct), 1))

    texts_V = np.bincount(term_Z, minlength=len(distinct))
    kept_V = texts_V >= min_texts
    kept_Z = kept_V[term_Z]
    text_Z, term_Z = text_Z[kept_Z], (np.cumsum(kept_V) - 1)[term_Z[kept_Z]]
    rarity_V = 1 + np.log((1 + texts) / (1 + texts_V[kept_V]))
    weight_Z = (1 + np.log(count_Z[kept_Z])) * rarity_V[term_Z]

    length_N = np.sqrt(np.bincount(text_Z, weight_Z**2, minlength=texts))
    weight_Z = (weight_Z / length_N[text_Z]).astype(np.float32)
    shape = (texts, int(kept_V.sum()))
    return CSR.from_keys(text_Z * shape[1] + term_Z, weight_Z, shape)
