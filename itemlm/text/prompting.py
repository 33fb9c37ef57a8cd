"""Prompts: questions with blanks and their answers, kept as plain files.

A file in `itemlm/text/prompts` holds prompts one after another, with an empty line between them:

    name: next
    ask: {user} took {history} . What comes next ?
    answer: {item}

`unseen: yes` marks a prompt that is kept from training, to ask a fitted model something in words
that it has never been asked in. Lines that start with # are for the reader.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from itemlm.text.describe import PLACEHOLDER
from itemlm.types import ConfigError, DataError, UnknownName

KEYS = ("name", "ask", "answer", "unseen")


@dataclass(frozen=True)
class Prompt:
    """A question and its answer, both with blanks.

    Attributes:
        name: by which it is asked for.
        ask: the question, such as "{user} took {history} . What comes next ?".
        answer: what is to be said, such as "{item}".
        unseen: whether it is kept from training.
    """

    name: str
    ask: str
    answer: str
    unseen: bool = False

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of all blanks."""
        return frozenset(PLACEHOLDER.findall(f"{self.ask} {self.answer}"))

    @cached_property
    def asked(self) -> frozenset[str]:
        """The names of the question's blanks."""
        return frozenset(PLACEHOLDER.findall(self.ask))

    def question(self, values: Mapping[str, str]) -> str:
        """The question with its blanks filled in.

        Raises:
            DataError: if a blank has no value.
        """
        return self._filled(self.ask, values)

    def reply(self, values: Mapping[str, str]) -> str:
        """The answer with its blanks filled in.

        Raises:
            DataError: if a blank has no value.
        """
        return self._filled(self.answer, values)

    def _filled(self, text: str, values: Mapping[str, str]) -> str:
        for field in PLACEHOLDER.findall(text):
            if field not in values:
                raise DataError(
                    f"the prompt '{self.name}' has the blank {{{field}}}, but values are given "
                    f"only for: {', '.join(sorted(values)) or 'nothing'}."
                )
        return " ".join(PLACEHOLDER.sub(lambda match: values[match[1]], text).split())


def prompts(name: str, fields: Collection[str]) -> tuple[Prompt, ...]:
    """The prompts of a file of ours.

    Args:
        name: of the file, without its ending, such as "p5/sequential".
        fields: the blanks that can be filled.

    Raises:
        UnknownName: if a prompt has another blank.
    """
    file = files("itemlm.text").joinpath("prompts", *f"{name}.txt".split("/"))
    return parsed(file.read_text(encoding="utf-8"), fields, where=f"{name}.txt")


def parsed(text: str, fields: Collection[str], where: str = "the prompts") -> tuple[Prompt, ...]:
    """Prompts from the text of a file.

    Args:
        text: as the module's docstring shows.
        fields: the blanks that can be filled.
        where: what to call the text in a message.

    Raises:
        ConfigError: if a line or a prompt cannot be understood, with the line's number.
        UnknownName: if a blank is not among the fields.
    """
    found: dict[str, Prompt] = {}
    entry: dict[str, str] = {}
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.startswith("#"):
            continue
        if line.strip():
            key, colon, value = (part.strip() for part in line.partition(":"))
            if not colon or key not in KEYS or key in entry or not value:
                raise ConfigError(
                    f"line {number} of {where} is {line!r}, but a line is a key, a colon and a "
                    f"text, each key once in a prompt. Keys: {', '.join(KEYS)}. An empty line "
                    "ends a prompt."
                )
            entry[key] = value
        elif entry:
            prompt = _prompt(entry, f"the prompt that ends in line {number - 1} of {where}")
            for field in prompt.fields - set(fields):
                raise UnknownName(f"blank of '{prompt.name}' in {where}:", field, fields)
            if prompt.name in found:
                raise ConfigError(f"{where} has two prompts named '{prompt.name}'; rename one.")
            found[prompt.name] = prompt
            entry = {}
    if not found:
        raise ConfigError(f"{where} holds no prompt. Write at least a name, an ask and an answer.")
    return tuple(found.values())


def _prompt(entry: Mapping[str, str], where: str) -> Prompt:
    for key in ("name", "ask", "answer"):
        if key not in entry:
            raise ConfigError(f"{where} lacks its '{key}'. A prompt has a name, an ask, an answer.")
    unseen = entry.get("unseen", "no")
    if unseen not in ("yes", "no"):
        raise ConfigError(f"{where} says unseen: {unseen}; write yes or no.")
    prompt = Prompt(entry["name"], entry["ask"], entry["answer"], unseen == "yes")
    if not prompt.asked:
        raise ConfigError(f"{where} asks {prompt.ask!r} of everything: its ask needs a blank.")
    return prompt
