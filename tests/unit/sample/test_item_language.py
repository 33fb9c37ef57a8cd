"""Item language: occasions in words and codes."""

from random import Random

import numpy as np
import pytest

pytest.importorskip("torch")

from itemlm.data.sequences import Sequences
from itemlm.sample.item_language import FIELDS, ItemLanguage, ItemLanguageTasks, Occasion
from itemlm.text.prompting import Prompt, prompts
from itemlm.types import DataError

TASKS = ("sequential", "mutual", "asymmetric", "mixed", "search", "preference")
LANGUAGE = ItemLanguage(
    codes=["<a>", "<b>", "<c>", "<d>"],
    titles=["red ball", "blue ball", "old lamp", "new lamp"],
    texts=["red ball. toys", "blue ball. toys", "old lamp. light", "new lamp. light"],
    phrases=[["toys"], ["toys"], ["light", "antique"], []],
    start="<h>",
    length=3,
    titled=2,
)
# Two users with four and two events, and one with a single event.
SEQUENCES = Sequences(
    offsets=np.array([0, 4, 6, 7]), item_rows=np.array([0, 1, 2, 3, 3, 0, 1], dtype=np.int32)
)


def filled(field, item=3, history=(0, 1, 2), seed=0):
    return FIELDS[field](Occasion(LANGUAGE, item, history, Random(seed)))


def test_histories_are_codes_without_spaces_or_the_latest_titles():
    assert filled("history") == "<h><a><b><c>"
    assert filled("history", history=(3, 0, 1, 2)) == "<h><a><b><c>"  # three at most
    assert filled("history", history=()) == "<h>"
    assert filled("titles") == "blue ball ; old lamp"
    assert filled("mixed") == "blue ball <b> ; old lamp <c>"


def test_a_taste_is_what_most_items_share():
    assert filled("taste") == "toys, light, antique"
    assert filled("taste", history=(3,)) == "anything"


def test_a_wish_is_made_of_phrases_and_words_of_the_title():
    wishes = {filled("wish", item=2, seed=seed) for seed in range(40)}
    assert wishes == {"light", "antique", "light old lamp", "antique old lamp"}
    assert {filled("wish", item=3, seed=seed) for seed in range(9)} == {"new lamp"}


def tasks(share=1.0, every=True, names=TASKS, batch_size=4):
    found = {name: prompts(f"lcrec/{name}", FIELDS) for name in names}
    return ItemLanguageTasks(
        SEQUENCES,
        LANGUAGE,
        found,
        share=share,
        every_position=every,
        batch_of=lambda *parts: list(zip(*parts, strict=True)),
        batch_size=batch_size,
        seed=0,
    )


def test_every_prompt_of_ours_can_be_filled():
    asks, answers, whole = tasks().examples(0)
    # Two windows; four items; of two users with a history one event for each other task.
    assert len(asks) == len(answers) == 2 + 4 + 2 * 4
    assert sum(whole) == 2
    assert not any("{" in text for text in [*asks, *answers])


def test_windows_or_single_targets():
    windows = tasks(names=("sequential",)).examples(0)
    assert list(zip(*windows, strict=True)) == [
        ("next of <h><a><b><c>", "<d>", True),
        ("next of <h><d>", "<a>", True),
    ]
    each = tasks(names=("sequential",), every=False).examples(0)
    assert list(zip(*each, strict=True)) == [
        ("next of <h><a>", "<b>", True),
        ("next of <h><a><b>", "<c>", True),
        ("next of <h><a><b><c>", "<d>", True),
        ("next of <h><d>", "<a>", True),
    ]


def test_an_occasion_shows_nothing_that_came_later():
    for epoch in range(20):
        for task, item, history in tasks(names=("search",)).occasions(epoch):
            assert task == "search"
            assert (item, list(history)) in [
                (1, [0]),
                (2, [0, 1]),
                (3, [0, 1, 2]),
                (0, [3]),
            ]


def test_batches_are_those_of_the_epoch_and_can_be_skipped():
    source = tasks()
    batches = list(source.batches(3))
    assert len(batches) == source.steps == 4
    assert batches[2:] == list(source.batches(3, skip=2))
    assert batches != list(source.batches(4))
    expected = list(zip(*source.examples(3), strict=True))
    assert sorted(pair for batch in batches for pair in batch) == sorted(expected)


def test_a_share_of_users_and_items():
    assert tasks(share=0.5).steps == -(-(2 + 2 + 1 * 4) // 4)
    assert tasks(share=0.0).steps == 1


def test_no_histories_is_a_sentence():
    single = Sequences(offsets=np.array([0, 1]), item_rows=np.array([0], dtype=np.int32))
    with pytest.raises(DataError, match="no user has two events"):
        ItemLanguageTasks(
            single,
            LANGUAGE,
            {"sequential": (Prompt("next", "next of {history}", "{item}"),)},
            share=0.0,
            every_position=True,
            batch_of=lambda *parts: parts,
            batch_size=4,
            seed=0,
        )
