"""Items as words of a language model, and as paths of its tokens."""

import numpy as np
import pytest

pytest.importorskip("transformers")

from itemlm.lm.models import Size, fresh
from itemlm.lm.spelling import code_texts, number_names, spelling
from itemlm.types import DataError


@pytest.fixture
def lm():
    size = Size(width=16, blocks=1, heads=2, inner=16, vocabulary=270)
    return fresh(["we took 12 and 345"], "seq2seq", size, seed=0)


def written(spelled, row):
    """The tokens of an item's path."""
    codes = [code for code in spelled.codes_NL[row].tolist() if code >= 0]
    return [int(spelled.tokens_by_level[level][code]) for level, code in enumerate(codes)]


def test_paths_are_the_tokens_that_prompts_have(lm):
    texts = ["12", "30 we", "345"]
    spelled = spelling(texts, lm)
    for row, text in enumerate(texts):
        assert written(spelled, row) == lm.token_ids([text])[0]
    # At each level, tokens that occur there, once each.
    for level, tokens in enumerate(spelled.tokens_by_level):
        used = {
            lm.token_ids([text])[0][level] for text in texts if len(lm.token_ids([text])[0]) > level
        }
        assert sorted(used) == tokens.tolist()


def test_numbers_have_the_same_count_of_digits():
    assert number_names(np.array([0, 89])) == ["10", "99"]
    assert number_names(np.array([0, 90])) == ["100", "190"]
    assert number_names(np.array([0, 12_100])) == ["10000", "22100"]


def test_an_item_that_begins_another_is_refused(lm):
    with pytest.raises(DataError, match=r"'7' \(item 1\) begins '70' \(item 0\)"):
        spelling(["70", "7"], lm)
    with pytest.raises(DataError, match="write items so that none begins another"):
        spelling(["70", "70"], lm)


def test_codes_become_tokens_of_their_own(lm):
    texts = code_texts(np.array([[0, 1], [2, -1]]), lm)
    assert texts == ["<0_0><1_1>", "<0_2>"]
    spelled = spelling(texts, lm)
    assert spelled.codes_NL.tolist() == [[0, 0], [1, -1]]
    names = [lm.words.convert_ids_to_tokens(written(spelled, row)) for row in (0, 1)]
    assert names == [["<0_0>", "<1_1>"], ["<0_2>"]]


def test_shared_codes_are_the_same_token_on_every_level(lm):
    assert code_texts(np.array([[0, 1], [1, 0]]), lm, shared=True) == ["<0><1>", "<1><0>"]
