"""LSA that is kept: the same vectors again, other texts in the same space, and back from disk."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from itemlm.encode.lsa import LSA, FittedLSA
from itemlm.encode.tfidf import fitted_terms, tfidf

TEXTS = ["red garden spade", "blue garden rake", "red frying pan", "blue frying pan", "red spade"]


def test_texts_of_the_fit_get_the_vectors_that_lsa_gives_them():
    fitted = LSA(width=3).fitted(TEXTS)
    np.testing.assert_allclose(fitted.encode(TEXTS), LSA(width=3).encode(TEXTS), atol=1e-5)
    # One text alone, too: nothing is fitted anew.
    np.testing.assert_allclose(fitted.encode(TEXTS[2:3]), fitted.encode(TEXTS)[2:3], atol=1e-6)


def test_terms_by_hand():
    weights_NV, terms = fitted_terms(["red pan", "red spade"], min_texts=1)
    assert sorted(terms.names) == ["pan", "red", "red pan", "red spade", "spade"]
    rarity = dict(zip(terms.names, terms.rarity_V, strict=True))
    assert rarity["red"] == pytest.approx(1 + log(3 / 3))
    assert rarity["pan"] == pytest.approx(1 + log(3 / 2))
    # A new text: "pan" twice, and "red" once. "pan red", "pan pan" and "blue" are not known.
    weights_V = terms.weigh(["pan pan red blue"]).toarray()[0]
    pan, red = (1 + log(2)) * (1 + log(3 / 2)), 1.0
    found = dict(zip(terms.names, weights_V.tolist(), strict=True))
    assert found["pan"] == pytest.approx(pan / sqrt(pan**2 + red**2))
    assert found["red"] == pytest.approx(red / sqrt(pan**2 + red**2))
    assert found["spade"] == found["red pan"] == 0
    np.testing.assert_allclose(
        terms.weigh(["red pan", "red spade"]).toarray(), weights_NV.toarray(), rtol=1e-6
    )
    assert tfidf(["red pan", "red spade"], 1).shape == weights_NV.shape


def test_other_texts_come_close_to_those_that_share_words():
    fitted = LSA(width=3).fitted(TEXTS)
    other = fitted.encode(["a green garden spade", "an iron pan", "nothing known"])
    home = fitted.encode(TEXTS)
    assert (other[:2] @ home.T).argmax(axis=1).tolist() in ([0, 2], [0, 3])
    assert not other[2].any()


def test_it_can_be_kept(tmp_path):
    fitted = LSA(width=3).fitted(TEXTS)
    fitted.save(tmp_path / "encoder")
    loaded = FittedLSA.load(tmp_path / "encoder")
    assert (loaded.encode(TEXTS) == fitted.encode(TEXTS)).all()
    assert loaded.name == fitted.name == f"lsa of {len(fitted.terms.names)} terms width=3"
