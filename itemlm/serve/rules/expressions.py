"""Expressions: from the text of a filter to a Polars condition that fits the catalog.

Types are checked before anything is evaluated, so that a mistake gets a sentence and never the
error of a library. What an expression means:

    year >= 1990, 10 <= price < 50    numbers in numbers' order, texts by character codes
    'war' in title                    the text holds these words, in capital or small letters
    'drama' in genres                 the list holds exactly this value
    brand in ['Acme', 'Apex']         one of these
    released < '2020-01-31'           days and moments are written in ISO 8601; a moment without an
                                      offset is UTC, a day stands for its first moment
    price < list_price                two fields of one type
    discount, discount == true        a field that is true or false
    description is None               nothing is known; also for lists, where empty is not None

What is not known meets nothing: a comparison with a missing value (or a number that is NaN) is
neither true nor false, nor is its opposite. `not year >= 1990` and `year < 1990` are the same, and
leave out items without a year; `year is None or year < 1990` takes them in.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import reduce
from typing import Any

import polars as pl
import polars.selectors as cs

from itemlm.serve.rules.reading import read
from itemlm.serve.rules.tree import (
    Choices,
    Comparison,
    Constant,
    Field,
    Joined,
    Node,
    Not,
    Operand,
    RuleError,
    Span,
)
from itemlm.types import UnknownName

__all__ = ["RuleError", "condition", "joined"]

# What a field holds, in the words of the error sentences.
TEXT, NUMBERS, TRUTH, DAYS, MOMENTS, LISTS, NOTHING, OTHER = (
    "texts",
    "numbers",
    "true or false",
    "days",
    "moments",
    "lists",
    "nothing at all",
    "values of another kind",
)
COMPARE: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
EXAMPLES = {
    TEXT: "'Acme'",
    NUMBERS: "50",
    TRUTH: "true",
    DAYS: "'2020-01-31'",
    MOMENTS: "'2020-01-31T12:00'",
}
UNKNOWN = pl.lit(None, dtype=pl.Boolean)


def condition(text: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """The Polars condition of an expression, for `Catalog.matching` or any table of the schema.

    Args:
        text: the expression; see above.
        schema: type of each field that may be named.

    Returns:
        Boolean of each item; null where it is not known, which stands for False.

    Raises:
        RuleError: if it cannot be read, names an unknown field or does not fit a field's type.
    """
    return _Typed(text, schema).condition(read(text))


def joined(first: str, second: str) -> str:
    """The expression that holds where both do.

    Both are read alone before, so that neither can close the other's brackets.

    Raises:
        RuleError: if one of them cannot be read.
    """
    read(first)
    read(second)
    return f"({first}) and ({second})"


def kind_of(dtype: pl.DataType) -> str:
    """What a column of a type holds."""
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return TEXT
    if dtype.is_numeric():
        return NUMBERS
    if isinstance(dtype, pl.List | pl.Array):
        return LISTS
    kinds = {pl.Boolean: TRUTH, pl.Date: DAYS, pl.Datetime: MOMENTS, pl.Null: NOTHING}
    return kinds.get(dtype.base_type(), OTHER)


class _Typed:
    """An expression being checked against a schema and turned into Polars."""

    def __init__(self, text: str, schema: Mapping[str, pl.DataType]) -> None:
        self.text = text
        self.schema = pl.Schema(schema)

    def error(self, problem: str, span: Span) -> RuleError:
        return RuleError(problem, self.text, span)

    # --- Conditions -------------------------------------------------------------------------------

    def condition(self, node: Node) -> pl.Expr:
        match node:
            case Joined(word=word, parts=parts):
                both = operator.and_ if word == "and" else operator.or_
                return reduce(both, [self.condition(part) for part in parts])
            case Not(part=part):
                return ~self.condition(part)
            case Comparison(operator="is" | "is not"):
                return self._is_none(node)
            case Comparison(operator="in" | "not in"):
                found = self._within(node)
                return found if node.operator == "in" else ~found
            case Comparison():
                return self._compared(node)
            case Field() if self._kind(node) in (TRUTH, NOTHING):
                return self._column(node)
            case Field(name=name):
                kind = self._kind(node)
                problem = f"'{name}' holds {kind}; write what of it, as in {node.written} is None."
                raise self.error(problem, node.span)
        raise self.error("a condition names a field, as in price < 50.", node.span)

    def _is_none(self, node: Comparison) -> pl.Expr:
        if not (isinstance(node.right, Constant) and node.right.value is None):
            wanted = "==" if node.operator == "is" else "!="
            raise self.error(f"'is' goes only with None; write {wanted}.", node.span)
        if not isinstance(node.left, Field):
            raise self.error("only a field can be None.", node.left.span)
        missing = self._column(node.left).is_null()
        return missing if node.operator == "is" else ~missing

    def _compared(self, node: Comparison) -> pl.Expr:
        left, right, sign = node.left, node.right, str(node.operator)
        if not isinstance(left, Field):
            left, right, sign = right, left, MIRRORED[sign]
        if not isinstance(left, Field):
            raise self.error("a comparison names a field, as in price < 50.", node.span)
        kind = self._kind(left)
        if kind in (LISTS, OTHER) or isinstance(right, Choices):
            raise self.error(self._how_to_ask(left), node.span)
        if kind == TRUTH and sign not in ("==", "!="):
            raise self.error(f"'{left.name}' is true or false, which has no order.", node.span)
        if isinstance(right, Field):
            other = self._kind(right)
            if NOTHING in (kind, other):
                return UNKNOWN
            if other != kind:
                names = f"'{left.name}' holds {kind}, '{right.name}' {other}"
                raise self.error(f"{names}: they cannot be compared.", node.span)
            return COMPARE[sign](self._column(left), self._column(right))
        value = self._value(right, left, kind)
        return UNKNOWN if kind == NOTHING else COMPARE[sign](self._column(left), pl.lit(value))

    def _within(self, node: Comparison) -> pl.Expr:
        left, right = node.left, node.right
        if isinstance(right, Field) and isinstance(left, Constant):
            return self._holds(right, left, node.span)
        if not isinstance(left, Field):
            raise self.error("write field in ['a', 'b'], or 'a' in field.", node.span)
        if not isinstance(right, Choices):
            raise self.error("behind 'in' stands a list: field in ['a', 'b'].", right.span)
        kind = self._kind(left)
        if kind in (LISTS, OTHER):
            raise self.error(self._how_to_ask(left), node.span)
        values = [self._value(choice, left, kind) for choice in right.values]
        if kind == NOTHING:
            return UNKNOWN
        return _one_of(self._column(left), self.schema[left.name], values)

    def _holds(self, field: Field, constant: Constant, span: Span) -> pl.Expr:
        """Whether a list has a value, or a text has words."""
        kind, dtype = self._kind(field), self.schema[field.name]
        if kind == NOTHING:
            return UNKNOWN
        if kind == TEXT:
            words = pl.lit(self._value(constant, field, kind)).str.to_lowercase()
            return self._column(field).str.to_lowercase().str.contains(words, literal=True)
        if kind != LISTS:
            problem = f"'{field.name}' holds {kind}; 'in' looks into texts and lists."
            raise self.error(problem, span)
        inner = dtype.inner  # type: ignore[attr-defined]
        if (kind := kind_of(inner)) not in (TEXT, NUMBERS, TRUTH, NOTHING):
            problem = f"'{field.name}' holds lists of {kind}, which cannot be looked into."
            raise self.error(problem, span)
        value = self._value(constant, field, kind)
        column = self._column(field)
        if kind == NUMBERS and inner.is_integer():
            inner, value = pl.Int64(), _whole(value)
        elif kind == NUMBERS and not inner.is_float():
            inner = pl.Float64()
        elif kind == TEXT:
            inner = pl.String()
        if kind == NOTHING or value is None:
            return pl.when(column.is_not_null()).then(False)
        return column.cast(pl.List(inner)).list.contains(pl.lit(value, dtype=inner))

    # --- Fields and constants ---------------------------------------------------------------------

    def _kind(self, field: Field) -> str:
        if field.name not in self.schema:
            problem = str(UnknownName("field", field.name[:100], self.schema))
            raise self.error(problem, field.span)
        return kind_of(self.schema[field.name])

    def _column(self, field: Field) -> pl.Expr:
        kind, dtype = self._kind(field), self.schema[field.name]
        # pl.col would take a column that is named '*' or '^...$' for a pattern.
        column = cs.by_name(field.name).as_expr()
        if dtype.is_float():
            return column.fill_nan(None)
        if dtype.is_decimal():
            return column.cast(pl.Float64)
        if kind == TEXT:
            return column.cast(pl.String)
        if kind == NOTHING:
            return column.cast(pl.Boolean)
        if isinstance(dtype, pl.Datetime) and dtype.time_zone:
            return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column

    def _value(self, operand: Operand, field: Field, kind: str) -> object:
        """The constant as a value that a column of the kind can be compared with."""
        value = operand.value if isinstance(operand, Constant) else None
        if value is None:
            raise self.error(
                f"what is missing is asked for by {field.written} is None.", operand.span
            )
        fits = {
            TEXT: isinstance(value, str),
            NUMBERS: isinstance(value, int | float) and not isinstance(value, bool),
            TRUTH: isinstance(value, bool),
            NOTHING: True,
        }
        if kind in (DAYS, MOMENTS):
            return self._moment(operand, value, field.name, kind)
        if not fits[kind]:
            problem = f"'{field.name}' holds {kind}, as in {EXAMPLES[kind]}."
            raise self.error(problem, operand.span)
        return value

    def _moment(self, operand: Operand, value: object, name: str, kind: str) -> date:
        try:
            if not isinstance(value, str):
                raise ValueError
            if kind == DAYS:
                return date.fromisoformat(value)
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        except (ValueError, OverflowError):
            problem = f"'{name}' holds {kind}, as in {EXAMPLES[kind]}."
            raise self.error(problem, operand.span) from None

    def _how_to_ask(self, field: Field) -> str:
        kind, written = self._kind(field), field.written
        if kind == LISTS:
            return f"'{field.name}' holds lists; write 'x' in {written}, or {written} is None."
        if kind == OTHER:
            return f"'{field.name}' holds {kind}; only {written} is None can be asked of it."
        return f"several values are written {written} in ['a', 'b']."


def _whole(value: object) -> int | None:
    """A number as a whole number, if it is one."""
    return int(value) if isinstance(value, int | float) and value == int(value) else None


def _one_of(column: pl.Expr, dtype: pl.DataType, values: Sequence[Any]) -> pl.Expr:
    """Whether a column has one of these values. Polars compares like with like only."""
    if dtype.is_integer():
        return column.is_in([value for value in map(_whole, values) if value is not None])
    if dtype.is_numeric():
        kind = dtype if dtype.is_float() else pl.Float64()
        return column.is_in(pl.lit([float(value) for value in values], dtype=pl.List(kind)))
    return column.is_in(values)
