"""Words to items: what is found, in which order, and that changes are seen at once."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tantivy", reason="needs the extra `serve`")

from itemlm.serve.word_search import WordSearch
from itemlm.types import DataError, MissingExtra

FILMS = [
    ("The Godfather", "crime, drama; New York"),
    ("The Godfather Part II", "crime, drama; New York and Sicily"),
    ("Heat", "crime; Los Angeles"),
    ("Amélie", "romance in Paris"),
    ("Paris, Texas", "drama; a man walks out of the desert"),
    ("Crime and Punishment", "drama after Dostoevsky"),
]


def searching(items):
    made = WordSearch()
    titles, texts = zip(*items, strict=True)
    made.put(range(len(items)), titles, texts)
    return made


@pytest.fixture(scope="module")
def films():
    return searching(FILMS)


def found(search, text, k=10, allowed_N=None):
    return search.search(text, k, allowed_N)[0].tolist()


# --- What is found --------------------------------------------------------------------------------


def test_a_word_of_the_title_counts_more_than_one_of_the_rest(films):
    """Row 5 has crime in its title, rows 0, 1 and 2 elsewhere; Paris is the title of row 4."""
    assert found(films, "crime")[0] == 5
    assert sorted(found(films, "crime")) == [0, 1, 2, 5]
    assert found(films, "paris") == [4, 3]


def test_items_with_more_of_the_words_come_first(films):
    assert found(films, "drama sicily")[0] == 1
    assert found(films, "godfather sicily")[:2] == [1, 0]


def test_a_rare_word_counts_more_than_a_common_one():
    """BM25: "hat" is in all items, "green" in one, so that one is first."""
    search = searching([("red hat", ""), ("blue hat", ""), ("green hat", ""), ("hat hat", "")])
    assert found(search, "hat green ")[0] == 2


def test_scores_go_down(films):
    rows_K, scores_K = films.search("crime drama york", 10)
    assert rows_K.dtype == np.int64
    assert scores_K.dtype == np.float32
    assert len(rows_K) == len(scores_K) == 5
    assert (np.diff(scores_K) <= 0).all()
    assert (scores_K > 0).all()


@pytest.mark.parametrize("length", range(1, len("godfather") + 1))
def test_the_last_word_may_be_unfinished(films, length):
    assert {0, 1} <= set(found(films, "the " + "godfather"[:length]))
    assert set(found(films, "godfather"[:length])) == {0, 1}


def test_only_the_last_word_may_be_unfinished(films):
    assert found(films, "god heat") == [2]


def test_a_finished_word_comes_before_one_that_only_begins_so():
    search = searching([("startle", ""), ("star", ""), ("starlet", "")])
    assert found(search, "star")[0] == 1


@pytest.mark.parametrize(
    ("typed", "rows"),
    [
        ("godfahter part", {0, 1}),  # two letters swapped
        ("godfther", {0, 1}),  # one too few
        ("goddfather", {0, 1}),  # one too many
        ("sicoly crime", {0, 1, 2, 5}),  # a wrong one, while other words are found
        ("gadfat", {0, 1}),  # in an unfinished word
        ("gaadfather", set()),  # two are not forgiven
        ("haet", set()),  # four letters
        ("parus", {3, 4}),
        ("puris", {3, 4, 5}),  # or the beginning of punishment
    ],
)
def test_one_typo_is_forgiven_in_a_word_of_five_letters_that_nothing_has(films, typed, rows):
    assert set(found(films, typed)) == rows


def test_what_is_spelled_as_some_item_has_it_is_no_typo():
    search = searching([("trains", ""), ("brains", "")])
    assert found(search, "trains ") == [0]


@pytest.mark.parametrize(
    "typed", ["amelie", "AMÉLIE", "Amélie", "Ame\u0301lie", "ＡＭＥＬＩＥ", "amél", "àmelïe"]
)
def test_accents_capitals_and_forms_of_letters_do_not_matter(films, typed):
    assert found(films, typed) == [3]


@pytest.mark.parametrize("typed", ["", "   ", "?!", "\x00", "🎬", "x" * 100])
def test_a_text_without_words_finds_nothing(films, typed):
    rows_K, scores_K = films.search(typed, 5)
    assert rows_K.shape == scores_K.shape == (0,)


@pytest.mark.parametrize(
    "typed",
    [
        "heat AND NOT heat",
        'title:"heat',
        "heat~2^9",
        "[heat TO *]",
        "+heat -crime",
        "(((heat",
        ".*heat|",
        "heat \ud800",
        "row:2 heat",
        "heat " * 500,
    ],
)
def test_what_people_type_is_no_query_language(films, typed):
    assert 2 in found(films, typed)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(), max_size=60))
def test_any_text_is_safe(text):
    rows_K, _ = ANY.search(text, 3)
    assert len(set(rows_K.tolist())) == len(rows_K) <= 3


ANY = searching(FILMS)


# --- Filters --------------------------------------------------------------------------------------

VOCABULARY = ["red", "blue", "green", "hat", "shoe", "shirt", "shorts", "wool"]


def catalog(seed, items):
    rng = np.random.default_rng(seed)
    draw = [" ".join(rng.choice(VOCABULARY, size=rng.integers(1, 5))) for _ in range(2 * items)]
    return list(zip(draw[:items], draw[items:], strict=True))


SHOP = searching(catalog(0, 300))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from([*VOCABULARY, "sh", "shoee", "r"]), min_size=1, max_size=4),
    st.integers(1, 20),
    st.sampled_from([0, 0.01, 0.1, 0.5, 1]),
    st.integers(0, 2**32 - 1),
)
def test_a_filtered_answer_is_the_unfiltered_one_without_what_is_not_allowed(words, k, share, seed):
    allowed_N = np.random.default_rng(seed).random(300) < share
    everything_K, scores_K = SHOP.search(" ".join(words), 300)
    fit_K = allowed_N[everything_K]
    rows_K, found_K = SHOP.search(" ".join(words), k, allowed_N)
    assert rows_K.tolist() == everything_K[fit_K][:k].tolist()
    assert found_K.tolist() == scores_K[fit_K][:k].tolist()


def test_the_last_of_many_is_found_under_a_filter():
    """999 items fit better than the one that is allowed, whose weak fit is far down the list."""
    items = [("hat", "")] * 999 + [("shoe", "a hat in a very long text " * 5)]
    allowed_N = np.arange(1000) == 999
    assert found(searching(items), "hat", 3, allowed_N) == [999]
    most_N = np.arange(1000) != 0  # nearly all allowed, and the answer all the same complete
    assert len(found(searching(items), "hat", 500, most_N)) == 500


def test_rows_beyond_the_filter_are_not_allowed():
    search = searching([("hat", ""), ("hat", ""), ("hat", "")])
    assert found(search, "hat", 5, np.array([False, True])) == [1]


# --- Changes --------------------------------------------------------------------------------------


def test_items_are_added_replaced_and_removed():
    search = searching([("red hat", "wool"), ("blue hat", "")])
    search.put([7, 1], ["green hat", "blue shoe"], ["felt", ""])
    assert sorted(found(search, "hat")) == [0, 7]
    assert found(search, "shoe") == [1]
    assert found(search, "felt") == [7]
    assert len(search) == 3
    search.remove([0, 99])
    assert found(search, "hat") == [7]
    assert found(search, "wool") == []
    assert len(search) == 2
    search.put([0], ["red cap"], [""])
    assert found(search, "red") == [0]


def test_the_last_of_several_items_with_one_row_counts():
    search = WordSearch()
    search.put([3, 3], ["first", "second"], ["", ""])
    assert found(search, "first") == []
    assert found(search, "second") == [3]
    assert len(search) == 1


def test_nothing_to_search_is_no_mistake():
    search = WordSearch()
    search.put([], [], [])
    search.remove([1])
    assert found(search, "hat") == []
    assert found(search, "hat", 3, np.zeros(0, dtype=bool)) == []


NAMES = ["alpha", "bravo", "charlie"]


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.sampled_from(NAMES)), max_size=25))
def test_after_any_changes_the_index_holds_what_a_dictionary_would(changes):
    search, expected = WordSearch(), {}
    for put, row, word in changes:
        if put:
            search.put([row], [word], [""])
            expected[row] = word
        else:
            search.remove([row])
            expected.pop(row, None)
    assert len(search) == len(expected)
    for word in NAMES:
        rows = [row for row, title in expected.items() if title == word]
        assert sorted(found(search, word)) == sorted(rows)


def test_searching_from_many_threads_while_items_change():
    """Items 0 to 299 stay; another thread adds and removes item 1000 all the while."""
    search = searching(catalog(0, 300))
    expected = sorted(SHOP.search("wool", 300)[0].tolist())
    wrong, done = [], threading.Event()

    def look():
        while not done.is_set():
            rows = found(search, "wool", 400)
            if sorted(row for row in rows if row != 1000) != expected:
                wrong.append(rows)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for thread in lookers:
        thread.start()
    for _ in range(15):
        search.put([1000], ["wool wool"], [""])
        assert 1000 in found(search, "wool", 400)
        search.remove([1000])
        assert 1000 not in found(search, "wool", 400)
    done.set()
    for thread in lookers:
        thread.join()
    assert wrong == []


def test_changes_are_seen_within_a_tenth_of_a_second():
    search = searching(catalog(1, 2000))
    seconds = []
    for row in range(2000, 2021):
        began = time.perf_counter()
        search.put([row], [f"novelty{row}"], [""])
        assert found(search, f"novelty{row}") == [row]
        seconds.append(time.perf_counter() - began)
    assert np.median(seconds) < 0.1


# --- Mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda search: search.put([1, 2], ["a"], ["b"]), "2 rows came with 1 titles and 1 texts"),
        (lambda search: search.put([-1], ["a"], ["b"]), "has the row -1"),
        (lambda search: search.search("a", 0), "k is 0"),
    ],
)
def test_what_cannot_be_is_a_sentence(call, sentence):
    with pytest.raises(DataError, match=sentence):
        call(WordSearch())


def test_tantivy_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tantivy", None)
    with pytest.raises(MissingExtra, match=r"pip install 'itemlm\[serve\]'"):
        WordSearch()
