"""The tree of an expression over item fields, and the error that points into its text.

A span is a pair of character places in the text of the expression: the first, and the one behind
the last, both counted from 0.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from typing import Literal

from itemlm.types import ItemlmError

Span = tuple[int, int]
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"]


class RuleError(ItemlmError):
    """An expression over item fields cannot be read, or does not fit the fields.

    Attributes:
        place: the character where the offending part begins, counted from 1.
        part: the offending part; empty where the expression ends too early.
    """

    def __init__(self, problem: str, text: str, span: Span) -> None:
        self.place = span[0] + 1
        self.part = text[slice(*span)].strip()
        shown = self.part if len(self.part) <= 40 else self.part[:37] + "..."
        where = f"{shown!r} at character {self.place}" if shown else f"character {self.place}"
        super().__init__(f"the expression is wrong from {where}: {problem}")


@dataclass(frozen=True, slots=True)
class Field:
    """The name of a column of the catalog."""

    name: str
    span: Span

    @property
    def written(self) -> str:
        """As it is written in an expression."""
        plain = self.name.isidentifier() and not keyword.iskeyword(self.name)
        return self.name if plain else f"`{self.name}`"


@dataclass(frozen=True, slots=True)
class Constant:
    """A text, a number, true, false or None."""

    value: str | int | float | None
    span: Span


@dataclass(frozen=True, slots=True)
class Choices:
    """A list of constants."""

    values: tuple[Constant, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands and what is asked of them. A chain is several of these, joined by `and`."""

    left: Operand
    operator: Operator
    right: Operand
    span: Span


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    part: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Joined:
    """Conditions of which all must hold, or one."""

    word: Literal["and", "or"]
    parts: tuple[Node, ...]
    span: Span


Operand = Field | Constant | Choices
Node = Operand | Comparison | Not | Joined
