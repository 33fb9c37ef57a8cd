"""Words of prompts: pieces of one word share a number, and the number's vector."""

import pytest

pytest.importorskip("transformers")

import torch

from itemlm.lm.language_model import NOTHING
from itemlm.lm.models import Size, fresh
from itemlm.lm.worded import OUTSIDE, WholeWords, Worded

SIZE = Size(width=16, blocks=1, heads=2, inner=16, vocabulary=300)


@pytest.fixture(scope="module")
def lm():
    return WholeWords(fresh(["we took 12 , 34 and 567"], "seq2seq", SIZE, seed=0), words=6)


def test_pieces_of_a_word_share_its_number(lm):
    batch = Worded(lm, limit=50).batch(["took 5678 567"])
    pieces = [len(lm.token_ids([word])[0]) for word in ("took", "5678", "567")]
    assert pieces[1] > 1
    expected = [
        number for number, count in zip((1, 2, 3), pieces, strict=True) for _ in range(count)
    ]
    assert batch.words_BS.tolist() == [[*expected, OUTSIDE]]
    assert batch.ids_BS[0, -1] == lm.words.eos_token_id
    assert (batch.labels_BY == NOTHING).all()


def test_words_read_one_by_one_are_the_text_read_at_once(lm):
    batch = Worded(lm, limit=50).batch(["we took 12 , 5678"])
    assert batch.ids_BS[0, :-1].tolist() == lm.token_ids(["we took 12 , 5678"])[0]


def test_the_end_of_a_long_prompt_is_kept(lm):
    whole = Worded(lm, limit=50).batch(["we took 12 34 567"])
    cut = Worded(lm, limit=4).batch(["we took 12 34 567"])
    assert cut.ids_BS.tolist() == [whole.ids_BS[0, -4:].tolist()]
    assert cut.words_BS.tolist() == [whole.words_BS[0, -4:].tolist()]


def test_the_vector_of_a_word_is_added_to_its_pieces(lm):
    batch = Worded(lm, limit=50).batch(["we took 12 , 34 and 567 we"])  # 8 words, 6 vectors
    plain_BSD = lm.model.get_input_embeddings()(batch.ids_BS)
    added_SD = (lm.embed(batch) - plain_BSD)[0]
    for number, added_D in zip(batch.words_BS[0].tolist(), added_SD, strict=True):
        assert torch.allclose(added_D, lm.whole_words.weight[min(number, 5)], atol=1e-6)


def test_answers_end_and_are_padded_with_nothing(lm):
    batch = Worded(lm, limit=50, answer_limit=3).batch(["we", "took"], ["we", "12 34 567 12"])
    end = lm.words.eos_token_id
    assert batch.labels_BY[0].tolist() == [*lm.token_ids(["we"])[0], end, NOTHING]
    assert batch.labels_BY[1].tolist() == [*lm.token_ids(["12 34 567"])[0][:2], end]
