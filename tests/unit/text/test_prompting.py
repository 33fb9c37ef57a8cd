"""Prompts: reading files of them, and filling their blanks."""

import pytest

from itemlm.papers.generative.p5 import FAMILIES
from itemlm.sample.tasks import FIELDS
from itemlm.text.prompting import Prompt, parsed, prompts
from itemlm.types import ConfigError, DataError, UnknownName

TWO = """
# A comment.
name: next
ask: {user} took   {history} . next ?
answer: {item}

name: kept
unseen: yes
ask: what now , {user} ?
answer: {item} !
"""
FIELD_NAMES = ("user", "history", "item")


def test_reads_prompts():
    first, second = parsed(TWO, FIELD_NAMES)
    assert first == Prompt("next", "{user} took   {history} . next ?", "{item}")
    assert (second.name, second.unseen) == ("kept", True)
    assert first.fields == {"user", "history", "item"}
    assert first.asked == {"user", "history"}


def test_fills_blanks():
    first, second = parsed(TWO, FIELD_NAMES)
    values = {"user": "user_1", "history": "item_1 item_2", "item": "item_3"}
    assert first.question(values) == "user_1 took item_1 item_2 . next ?"
    assert second.reply(values) == "item_3 !"
    with pytest.raises(DataError, match=r"'next' has the blank \{history\}.*only for: item, user"):
        first.question({"user": "user_1", "item": "item_1"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no prompt"),
        ("name: a\nask {user}", r"line 2 of a.txt is 'ask \{user\}'"),
        ("name: a\nquestion: {user}", "Keys: name, ask, answer, unseen"),
        ("name: a\nname: b", "each key once"),
        ("name: a\nask: {user}", "ends in line 2 of a.txt lacks its 'answer'"),
        ("name: a\nask: hello\nanswer: {item}", "its ask needs a blank"),
        ("name: a\nask: {user}\nanswer: b\nunseen: maybe", "unseen: maybe; write yes or no"),
        ("name: a\nask: {user}\nanswer: b\n\nname: a\nask: {user}\nanswer: c", "two prompts"),
    ],
)
def test_mistakes_are_sentences(text, message):
    with pytest.raises(ConfigError, match=message):
        parsed(text, FIELD_NAMES, where="a.txt")


def test_an_unknown_blank_is_named():
    with pytest.raises(UnknownName, match=r"no blank of 'a' in a.txt: 'usr'. Did you mean 'user'"):
        parsed("name: a\nask: {usr}\nanswer: {item}", FIELD_NAMES, where="a.txt")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_prompts_to_learn_and_prompts_to_keep(family):
    found = prompts(f"p5/{family}", FIELDS)
    assert sum(not prompt.unseen for prompt in found) >= 3
    assert any(prompt.unseen for prompt in found)
