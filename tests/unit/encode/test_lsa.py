"""LSA and its TF-IDF: by hand, and against scikit-learn."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from itemlm.encode.lsa import strongest_directions
from itemlm.encode.tfidf import tfidf, words

NOUNS = [
    "polish",
    "brush",
    "comb",
    "lotion",
    "crème",
    "shampoo",
    "soap",
    "Öl",
    "perfume",
    "n°5",
    "mirror",
    "powder",
]
TRAITS = [
    "red",
    "blue",
    "dry",
    "gentle",
    "organic",
    "fresh",
    "travel-size",
    "2-in-1",
    "for_men",
    "l'été",
    "très",
    "日本語",
]


def catalog(texts, seed=0):
    """Product names of repeated, rare, accented and one-letter words."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, 13)
    popularity /= popularity.sum()
    lines = []
    for text in range(texts):
        traits = rng.choice(TRAITS, rng.integers(0, 5), p=popularity)
        nouns = rng.choice(NOUNS, rng.integers(1, 4), p=popularity)
        lines.append(f"{' '.join(traits)} {', '.join(nouns)} No. {text % 97} a {traits[:1]}")
    return [*lines, "", "!?"]


def test_words_are_lower_case_without_accents_and_of_two_letters_at_least():
    assert words("Crème, 5 oz & a COMB_2") == ["creme", "oz", "comb_2"]


def test_tfidf_by_hand():
    # Terms of "red comb red": red twice, comb once, and the pairs red-comb and comb-red. Only red
    # is in both texts: its idf is 1 + ln(3 / 3) = 1, that of the others 1 + ln(3 / 2).
    weights_NV = tfidf(["red comb red", "red"], 1)
    rare = 1 + log(3 / 2)
    length = sqrt((1 + log(2)) ** 2 + 3 * rare**2)
    expected = sorted([(1 + log(2)) / length, rare / length, rare / length, rare / length])
    assert sorted(weights_NV.toarray()[0]) == pytest.approx(expected, rel=1e-6)
    assert sorted(weights_NV.toarray()[1]) == [0, 0, 0, 1]


def test_pairs_of_words_do_not_reach_into_the_next_text():
    assert tfidf(["red comb", "soap bar"], 1).shape == (2, 4 + 2)


@pytest.mark.parametrize("min_texts", [1, 2])
def test_tfidf_equals_that_of_scikit_learn(min_texts):
    text = pytest.importorskip("sklearn.feature_extraction.text", reason="the oracle is sklearn's")
    texts = catalog(400)
    oracle = text.TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), min_df=min_texts, strip_accents="unicode"
    )
    expected_NV = oracle.fit_transform(texts).toarray()
    found_NV = tfidf(texts, min_texts).toarray()
    assert found_NV.shape == expected_NV.shape
    # Columns come in another order, which neither products of texts nor sorted weights see.
    np.testing.assert_allclose(found_NV @ found_NV.T, expected_NV @ expected_NV.T, atol=1e-6)
    np.testing.assert_allclose(np.sort(found_NV), np.sort(expected_NV), atol=1e-6)


def test_directions_are_those_of_the_exact_decomposition():
    weights_NV = tfidf(catalog(60), 1)
    dense_NV = weights_NV.toarray()
    directions_VD = strongest_directions(weights_NV, 1000, seed=0)  # all there are
    _, values, _ = np.linalg.svd(dense_NV, full_matrices=False)
    np.testing.assert_allclose(
        directions_VD.T @ directions_VD, np.eye(directions_VD.shape[1]), atol=1e-5
    )
    lengths = np.linalg.norm(dense_NV @ directions_VD, axis=0)
    np.testing.assert_allclose(lengths, values[: len(lengths)], rtol=1e-4, atol=1e-5)
    assert values[len(lengths) :].max(initial=0) < 1e-4 * values[0]


def test_directions_explain_as_much_as_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition", reason="the oracle is sklearn's")
    sparse = pytest.importorskip("scipy.sparse", reason="the oracle takes scipy's matrices")
    weights_NV = tfidf(catalog(1500), 2)
    dense_NV = weights_NV.toarray()
    found_ND = dense_NV @ strongest_directions(weights_NV, 128, seed=0)
    oracle = decomposition.TruncatedSVD(128, random_state=0)
    expected_ND = oracle.fit_transform(sparse.csr_matrix(dense_NV))
    assert np.square(found_ND).sum() == pytest.approx(np.square(expected_ND).sum(), rel=0.01)
    similarities = []
    for vectors_ND in (found_ND, expected_ND):
        lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
        unit_ND = vectors_ND / np.maximum(lengths_N1, 1e-9)
        similarities.append(unit_ND @ unit_ND.T)
    # Two seeds of scikit-learn differ by 0.006.
    assert np.abs(similarities[0] - similarities[1]).mean() < 0.01


def test_the_same_seed_gives_the_same_directions():
    weights_NV = tfidf(catalog(200), 1)
    first, again = (strongest_directions(weights_NV, 8, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
