"""Pieces of words: what is joined first, by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from itemlm.text.subwords import spelled, words
from itemlm.types import ConfigError


def test_words():
    assert words("Crème &amp; L'Oréal, 5-oz!") == ["creme", "l", "oreal", "5", "oz"]


def test_the_most_frequent_pair_is_joined_first():
    # Pairs: ▁a b four times (abc, abc, ab, ab), b c twice, ▁b c once.
    texts = ["abc abc ab ab", "bc"]
    characters = [["▁a", "b", "c"], ["▁a", "b"], ["▁b", "c"]]
    abc, ab, bc = characters
    assert spelled(texts, 4) == [abc + abc + ab + ab, bc]  # the four characters, nothing joined
    assert spelled(texts, 5)[0] == ["▁ab", "c", "▁ab", "c", "▁ab", "▁ab"]
    # Now ▁ab c occurs twice and ▁b c once.
    assert spelled(texts, 6)[0] == ["▁abc", "▁abc", "▁ab", "▁ab"]
    assert spelled(texts, 6)[1] == ["▁b", "c"]
    assert spelled(texts, 7)[1] == ["▁bc"]
    assert spelled(texts, 99) == spelled(texts, 7)  # there is nothing left to join


def test_a_pair_that_repeats_itself_is_joined_from_the_left():
    assert spelled(["aaaa aaaa"], 3) == [["▁a", "aa", "a"] * 2]
    # ▁a aa and aa a occur twice each: the first in the alphabet is joined.
    assert spelled(["aaaa aaaa"], 4) == [["▁a", "aaa"] * 2]


def test_counts_stay_right_while_pieces_are_joined():
    """Against the plain way: count all pairs anew before each joining."""
    texts = ["banana bandana", "ananas band", "canal cabana banal", "an and ana"]
    found = spelled(texts, 22)
    assert found == plainly(texts, 22)
    assert max(map(len, (piece for pieces in found for piece in pieces))) > 3


def plainly(texts, size):
    spellings = [[["▁" + word[0], *word[1:]] for word in words(text)] for text in texts]
    pieces = {piece for text in spellings for word in text for piece in word}
    while len(pieces) < size:
        counts = {}
        for word in (word for text in spellings for word in text):
            for pair in pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        pieces.add("".join(pair))
        for word in (word for text in spellings for word in text):
            place = 0
            while place < len(word) - 1:
                if (word[place], word[place + 1]) == pair:
                    word[place : place + 2] = ["".join(pair)]
                place += 1
    return [[piece for word in text for piece in word] for text in spellings]


def test_texts_without_words_have_no_pieces():
    assert spelled(["", "?!"], 3) == [[], []]
    with pytest.raises(ConfigError, match="size is 0"):
        spelled(["a"], 0)
