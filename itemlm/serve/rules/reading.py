"""Reading: from the text of a filter to a small tree that says only what a filter may say.

A filter comes from anyone who can send a request, so nothing in it is ever run. The text is first
cut into tokens of our own, which takes strings, numbers and quoted field names out of it; Python's
parser then only sees words, operators and brackets, and of what it makes of them everything but
what `tree.py` has a node for is refused.

    price < 50 and 'drama' in genres
    brand in ['Acme', 'Apex'] and not year >= 1990
    `release date` > '2020-01-01'           a field whose name is no word, or is one of Python's
    description is None                     none, null, true and false in any case
"""

from __future__ import annotations

import ast
import keyword
import re
from itertools import pairwise

from itemlm.serve.rules.tree import (
    Choices,
    Comparison,
    Constant,
    Field,
    Joined,
    Node,
    Not,
    Operand,
    Operator,
    RuleError,
    Span,
)

LONGEST = 4100  # characters: two filters of the longest kind that a request takes, joined
DEEPEST = 50  # brackets, or conditions, inside each other
MOST_PARTS = 1000  # fields and constants
MOST_COMPARISONS = 100  # each is a pass over the catalog

WORDS = {"true": True, "false": False, "none": None, "null": None}
OPERATOR_WORDS = {"and", "or", "not", "in", "is"}
OPERATORS: dict[type[ast.cmpop], Operator] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
TOKEN = re.compile(
    r"""
      (?P<blank>\s+)
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<field>`[^`]+`)
    | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[^\W\d]\w*)
    | (?P<sign><>|[<>=!]=|[<>]|[()\[\],.\-])
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
HINTS = {
    "=": "equality is written ==.",
    "&": "write 'and'.",
    "|": "write 'or'.",
    "!": "write 'not'.",
    "~": "write 'not'.",
    "'": "this text has no end; a ' inside a text is written \\'.",
    '"': 'this text has no end; a " inside a text is written \\".',
    "`": "a field's name between backquotes has no end, or is empty.",
    "{": "a list is written ['a', 'b'].",
}
ARITHMETIC = "arithmetic is not understood; compare a field with a number."
REFUSED: dict[type[ast.expr], str] = {
    ast.Call: "functions are not understood.",
    ast.Attribute: "a dot is not understood here; a field with one is written `a.b`.",
    ast.Subscript: "a place in a field cannot be asked for; write 'x' in field.",
    ast.Tuple: "a list is written ['a', 'b'].",
    ast.BinOp: ARITHMETIC,
    ast.UnaryOp: ARITHMETIC,
}
GRAMMAR = "only fields, texts, numbers and lists are understood here."


def read(text: str) -> Node:
    """The tree of an expression; what its fields are is not looked at.

    Raises:
        RuleError: if it is not an expression, or too large.
    """
    if len(text) > LONGEST:
        problem = f"it has {len(text):,} characters, and {LONGEST:,} are the limit."
        raise RuleError(problem, text, (LONGEST, len(text)))
    if not text.strip():
        raise RuleError("it is empty; write a condition, as in price < 50.", "", (0, 0))
    return _Reader(text).node


class _Reader:
    """One expression being read; a span is a pair of character places in its text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.literals: dict[int, Field | Constant] = {}
        masked = self._masked()
        # An expression may not begin with a blank; places count from the first that is none.
        self.code = masked.strip()
        self.shift = len(masked) - len(masked.lstrip())
        self.parts = self.comparisons = 0
        self.node = self._node(self._parsed(), 1)

    def error(self, problem: str, span: Span) -> RuleError:
        return RuleError(problem, self.text, span)

    # --- Tokens -----------------------------------------------------------------------------------

    def _masked(self) -> str:
        """The text with underscores for literals and spaces for blanks, as long as it was."""
        masked, brackets, place, touched = "", 0, 0, "blank"
        open_end = False  # whether an operand must follow, as behind an operator
        after_operand = False
        while place < len(self.text):
            token = TOKEN.match(self.text, place)
            if token is None:
                sign = self.text[place]
                hint = HINTS.get(sign, f"{sign!r} means nothing here.")
                span = (place, place + 1)
                raise self.error(ARITHMETIC if sign in "+*/%" else hint, span)
            kind, part, span = str(token.lastgroup), token.group(), token.span()
            is_operand = kind not in ("blank", "sign") and part.lower() not in OPERATOR_WORDS
            if is_operand and after_operand:
                raise self.error("an operator or a comma is missing before it.", span)
            if not {kind, touched} & {"blank", "sign"}:
                raise self.error("write a space before it.", span)
            if kind == "word":
                self._check_word(part, span)
            elif part == "<>":
                raise self.error("inequality is written !=.", span)
            brackets += (part in "([") - (part in ")]") if kind == "sign" else 0
            if brackets > DEEPEST:
                raise self.error(f"more than {DEEPEST} brackets inside each other.", span)
            if kind == "text":
                self.literals[place] = Constant(self._unescaped(part, span), span)
            elif kind == "field":
                self.literals[place] = Field(part[1:-1], span)
            fill = {"blank": " ", "text": "_", "field": "_"}.get(kind)
            masked += part if fill is None else fill * len(part)
            if kind != "blank":
                after_operand = is_operand
                open_end = not is_operand and part not in (")", "]")
            place, touched = token.end(), kind
        if open_end:
            raise self.error("it ends too early.", (len(self.text), len(self.text)))
        return masked

    def _check_word(self, word: str, span: Span) -> None:
        lower = word.lower()
        if lower in OPERATOR_WORDS and word != lower:
            raise self.error(f"write '{lower}' in small letters.", span)
        if keyword.iskeyword(word) and lower not in OPERATOR_WORDS | set(WORDS):
            raise self.error(f"this word is reserved; a field of this name is `{word}`.", span)

    def _unescaped(self, part: str, span: Span) -> str:
        for escape in ESCAPE.finditer(part):
            if escape.group(1) not in ESCAPES:
                raise self.error(f"{escape.group()} is not understood; write \\\\ for \\.", span)
        value = ESCAPE.sub(lambda escape: ESCAPES[escape.group(1)], part[1:-1])
        if re.search("[\ud800-\udfff]", value):
            raise self.error("half of a surrogate pair is no character.", span)
        return value

    # --- The tree ---------------------------------------------------------------------------------

    def _parsed(self) -> ast.expr:
        try:
            return ast.parse(self.code, mode="eval").body
        except SyntaxError as error:
            start = min(max((error.offset or 1) - 1, 0), len(self.code)) + self.shift
            problem = "it cannot be read from here on."
            raise self.error(problem, (start, len(self.text))) from None
        except (RecursionError, MemoryError, ValueError):
            raise self.error("it is nested too deeply.", (0, len(self.text))) from None

    def _span(self, node: ast.expr) -> Span:
        start, end = node.col_offset, node.end_col_offset or 0
        if not self.code.isascii():
            # Python counts bytes of UTF-8.
            code = self.code.encode()
            start, end = len(code[:start].decode()), len(code[:end].decode())
        return self.shift + start, self.shift + end

    def _node(self, node: ast.expr, depth: int) -> Node:
        span = self._span(node)
        if depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} conditions inside each other.", span)
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = tuple(self._node(value, depth + 1) for value in values)
                return Joined("and" if isinstance(op, ast.And) else "or", parts, span)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self._node(operand, depth + 1), span)
            case ast.Compare(left=left, ops=ops, comparators=others):
                self.comparisons += len(ops)
                if self.comparisons > MOST_COMPARISONS:
                    raise self.error(f"it has more than {MOST_COMPARISONS} comparisons.", span)
                operands = pairwise([self._operand(one) for one in (left, *others)])
                chain = tuple(
                    Comparison(a, OPERATORS[type(op)], b, (a.span[0], b.span[1]))
                    for (a, b), op in zip(operands, ops, strict=True)
                )
                return chain[0] if len(chain) == 1 else Joined("and", chain, span)
            case _:
                return self._operand(node)

    def _operand(self, node: ast.expr) -> Operand:
        span = self._span(node)
        match node:
            case ast.List(elts=elements):
                return Choices(tuple(self._choice(element) for element in elements), span)
            case ast.Name() | ast.Constant() | ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
                return self._leaf(node, span)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                raise self.error("a condition cannot be compared; join it with and, or.", span)
        raise self.error(REFUSED.get(type(node), GRAMMAR), span)

    def _choice(self, node: ast.expr) -> Constant:
        operand = self._operand(node)
        if not isinstance(operand, Constant):
            raise self.error("a list holds texts, numbers, true or false.", operand.span)
        return operand

    def _leaf(self, node: ast.expr, span: Span) -> Field | Constant:
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise self.error(f"it has more than {MOST_PARTS:,} fields and constants.", span)
        if isinstance(node, ast.Name):
            if span[0] in self.literals:
                return self.literals[span[0]]
            # Not node.id, which Python has normalized: another character would be another field.
            word = self.text[slice(*span)]
            if word.lower() in WORDS:
                return Constant(WORDS[word.lower()], span)
            return Field(word, span)
        sign = 1
        if isinstance(node, ast.UnaryOp):
            sign, node = -1, node.operand
        value = node.value if isinstance(node, ast.Constant) else ...
        if value is None or (isinstance(value, bool) and sign == 1):
            return Constant(value, span)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(GRAMMAR, span)
        if isinstance(value, float) and value == float("inf"):
            raise self.error("the number is too large.", span)
        if isinstance(value, int) and not -(2**63) <= sign * value < 2**63:
            raise self.error("the number does not fit into 64 bits.", span)
        return Constant(sign * value, span)
