"""Expressions: what they mean, checked against plain Python; what they refuse, and how."""

from __future__ import annotations

import contextlib
import time
import warnings
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.recommender import Catalog
from itemlm.serve.rules.expressions import RuleError, condition, joined
from itemlm.serve.rules.reading import DEEPEST, LONGEST, MOST_COMPARISONS, MOST_PARTS, read

quick = settings(max_examples=150, deadline=None)

SCHEMA: dict[str, Any] = {
    "item_id": pl.String(),
    "price": pl.Float64(),
    "list price": pl.Float32(),
    "year": pl.Int16(),
    "title": pl.String(),
    "brand": pl.Categorical(),
    "genres": pl.List(pl.String()),
    "sizes": pl.List(pl.Int8()),
    "widths": pl.Array(pl.Float32(), 2),
    "tags": pl.List(pl.Enum(["old", "new"])),
    "discount": pl.Boolean(),
    "released": pl.Date(),
    "seen": pl.Datetime("ns"),
    "sold": pl.Datetime("us", "Europe/Berlin"),
    "class": pl.String(),
    "void": pl.Null(),
    "box": pl.Struct({"side": pl.Int64}),
    "boxes": pl.List(pl.Struct({"side": pl.Int64})),
    "weight": pl.Decimal(10, 2),
    "*": pl.Int64(),
    "^.*$": pl.Int64(),
}
ITEMS: list[dict[str, Any]] = [
    {
        "item_id": "a",
        "price": 9.5,
        "list price": 0.1,
        "year": 1990,
        "title": "The War of the Worlds",
        "brand": "Acme",
        "genres": ["drama", "war"],
        "sizes": [1, 3],
        "widths": [0.1, 2.0],
        "tags": ["old", "new"],
        "discount": True,
        "released": date(1990, 5, 1),
        "seen": datetime(2020, 1, 31, 12),
        "sold": datetime(2020, 1, 31, 12),
        "class": "it's",
        "weight": 1.5,
        "*": 1,
        "^.*$": 2,
    },
    {
        "item_id": "b",
        "price": float("nan"),
        "year": 2005,
        "title": "Straße",
        "brand": "Apex",
        "genres": [],
        "sizes": [None],
        "discount": False,
        "released": date(2020, 1, 31),
        "*": 2,
        "^.*$": 1,
    },
    {"item_id": "c"},
]


def table(items: list[dict[str, Any]]) -> pl.DataFrame:
    """A catalog of these items."""
    texts = {"brand": pl.String(), "tags": pl.List(pl.String())}
    made_of = {**texts, "sold": pl.Datetime("us")}  # which are cast below
    frame = pl.DataFrame(
        {
            name: pl.Series([item.get(name) for item in items], dtype=made_of.get(name, dtype))
            for name, dtype in SCHEMA.items()
        }
    )
    return frame.with_columns(
        *(pl.col(name).cast(SCHEMA[name]) for name in texts),
        pl.col("sold").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin"),
    )


CATALOG = Catalog(table(ITEMS))


def found(text: str) -> str:
    """The ids of the items that meet an expression."""
    mask_N = CATALOG.matching(condition(text, CATALOG.table.schema))
    return "".join(CATALOG.table.filter(mask_N)["item_id"])


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("price < 50 and 'drama' in genres", "a"),
        ("brand in ['Acme', 'Apex'] and not year >= 1990", ""),
        ("brand in ['Acme', 'Apex'] and not year > 1990", "a"),
        ("9 <= price < 9.5", ""),
        ("9 <= price <= 9.5", "a"),
        ("50 > price", "a"),
        ("item_id != 'a'", "bc"),
        ("item_id not in ['a', 'c']", "b"),
        ("item_id in []", ""),
        # Texts hold words in capital or small letters; lists hold values exactly.
        ("'WAR' in title", "a"),
        ("'STRASSE' in title", ""),
        ("'straße' in title", "b"),
        ("'war' not in title", "b"),
        ("'.' in title", ""),
        ("'War' in genres", ""),
        ("'war' not in genres", "b"),
        ("3 in sizes or 2 in sizes", "a"),
        ("3.0 in sizes", "a"),
        ("300 in sizes or 3.5 in sizes", ""),
        ("3.5 not in sizes", "ab"),
        ("'new' in tags and 'unheard of' not in tags", "a"),
        ("0.1 in widths", "a"),
        # Nothing is known of c, and no price of b.
        ("title is None", "c"),
        ("title is not null", "ab"),
        ("genres is None", "c"),
        ("price is None", "bc"),
        ("not price < 5", "a"),
        ("price < 5 or not price < 5", "a"),
        ("price is None or price < 5", "bc"),
        ("year == 1990 and price is None or item_id == 'c'", "c"),
        # True and false, in any letters.
        ("discount", "a"),
        ("not discount", "b"),
        ("discount == true", "a"),
        ("discount != TRUE", "b"),
        ("discount in [True, false]", "ab"),
        # Numbers of any size and kind.
        ("year < 100000", "ab"),
        ("year > -9223372036854775808", "ab"),
        ("year in [1990, 100000, 2005.0, 2004.5]", "ab"),
        ("year in [2004.5]", ""),
        ("price in [9.5, 1]", "a"),
        ("`list price` == 0.1", "a"),
        ("`list price` in [0.1, 7]", "a"),
        ("weight == 1.5", "a"),
        ("weight in [1.5]", "a"),
        ("year == 1.99e3", "a"),
        # Days and moments.
        ("released > '1990-05-01'", "b"),
        ("'1990-05-01' <= released < '2020-01-31'", "a"),
        ("released in ['2020-01-31']", "b"),
        ("seen == '2020-01-31T12:00'", "a"),
        ("seen == '2020-01-31T14:00+02:00'", "a"),
        ("sold == '2020-01-31T12:00Z'", "a"),
        ("sold == seen", "a"),
        ("seen > '2020-01-31'", "a"),
        ("seen > '9999-01-01'", ""),
        ("seen in ['2020-01-31 12:00']", "a"),
        # Two fields.
        ("price > weight", "a"),
        ("price < `list price`", ""),
        ("title == brand", ""),
        # Names that are no words, or are something else to Python or Polars.
        ("`class` == 'it\\'s'", "a"),
        ("`*` > 1", "b"),
        ("`^.*$` > 1", "a"),
        ("`class` == '`*`'", ""),
        # Columns without a single value.
        ("void == 3 or void in ['x'] or 'x' in void or void or void < price", ""),
        ("void is None and box is None and boxes is None", "abc"),
        # Blanks are free, and brackets.
        ("  'war' in title", "a"),
        ("\n ((price\t<\r\n50)) ", "a"),
    ],
)
def test_what_an_expression_means(text: str, items: str) -> None:
    assert found(text) == items


def test_texts_take_escapes_and_everything_else_as_it_is() -> None:
    texts = ["a\nb", 'say "x"', "back\\slash", "it's", "# {f} `q` and"]
    written = [r"'a\nb'", "'say \"x\"'", r'"back\\slash"', r"'it\'s'", "'# {f} `q` and'"]
    frame = pl.DataFrame({"item_id": texts})
    for text, constant in zip(texts, written, strict=True):
        mask = condition(f"item_id == {constant}", frame.schema)
        assert frame.filter(mask)["item_id"].to_list() == [text]


# --- Against plain Python -------------------------------------------------------------------------

Known = bool | None  # true, false, or not known
Part = tuple[str, Any]  # a text and the same as a function of an item
NUMBER = st.integers(-3, 3) | st.sampled_from([-0.5, 0.5, 2.5])
WORD = st.text("aAbB'\\ \n", max_size=2)
DAY = st.integers(0, 4).map(lambda days: date(2020, 1, 30) + timedelta(days))
SIGNS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
sign = st.sampled_from(sorted(SIGNS))


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def of(item: dict[str, Any], name: str) -> Any:
    """A value, None where it is not known."""
    value = item.get(name)
    return None if value is None or value != value else value


def lifted(name: str, function: Any) -> Any:
    """A function of a field's value, not known where the value is not."""
    return lambda item: None if of(item, name) is None else function(of(item, name))


@st.composite
def comparison(draw: st.DrawFn) -> Part:
    name, values, write = draw(
        st.sampled_from(
            [
                ("price", NUMBER, str),
                ("`list price`", NUMBER, str),
                ("year", NUMBER, str),
                ("title", WORD, quoted),
                ("brand", WORD, quoted),
                ("released", DAY, lambda day: f"'{day.isoformat()}'"),
            ]
        )
    )
    field = name.strip("`")
    form = draw(st.sampled_from(["left", "right", "chain", "among", "none"]))
    if form == "none":
        return f"{name} is None", lambda item: of(item, field) is None
    if form == "among":
        among, word = draw(st.lists(values, max_size=3)), draw(st.sampled_from(["in", "not in"]))
        text = f"{name} {word} [{', '.join(map(write, among))}]"
        return text, lifted(field, lambda value: (value in among) == (word == "in"))
    a, b, first, second = draw(values), draw(values), draw(sign), draw(sign)
    if form == "left":
        return f"{name} {first} {write(a)}", lifted(field, lambda x: SIGNS[first](x, a))
    if form == "right":
        return f"{write(a)} {first} {name}", lifted(field, lambda x: SIGNS[first](a, x))
    text = f"{write(a)} {first} {name} {second} {write(b)}"
    return text, lifted(field, lambda x: SIGNS[first](a, x) and SIGNS[second](x, b))


@st.composite
def membership(draw: st.DrawFn) -> Part:
    word = draw(st.sampled_from(["in", "not in"]))
    if draw(st.booleans()):
        number = draw(NUMBER)
        return f"{number} {word} sizes", lifted("sizes", lambda x: (number in x) == (word == "in"))
    text = draw(WORD)
    if draw(st.booleans()):
        return f"{quoted(text)} {word} genres", lifted(
            "genres", lambda x: (text in x) == (word == "in")
        )
    return f"{quoted(text)} {word} title", lifted(
        "title", lambda x: (text.lower() in x.lower()) == (word == "in")
    )


@st.composite
def two_fields(draw: st.DrawFn) -> Part:
    between = draw(sign)

    def meaning(item: dict[str, Any]) -> Known:
        price, year = of(item, "price"), of(item, "year")
        return None if price is None or year is None else SIGNS[between](price, year)

    return f"price {between} year", meaning


def denied(part: Part) -> Part:
    text, meaning = part
    return f"not ({text})", lambda item: None if meaning(item) is None else not meaning(item)


def both(parts: tuple[Part, Part]) -> Part:
    (a, mean_a), (b, mean_b) = parts

    def meaning(item: dict[str, Any]) -> Known:
        known = (mean_a(item), mean_b(item))
        return False if False in known else None if None in known else True

    return f"({a}) and ({b})", meaning


def either(parts: tuple[Part, Part]) -> Part:
    (a, mean_a), (b, mean_b) = parts

    def meaning(item: dict[str, Any]) -> Known:
        known = (mean_a(item), mean_b(item))
        return True if True in known else None if None in known else False

    return f"({a}) or ({b})", meaning


discount: st.SearchStrategy[Part] = st.just(("discount", lambda item: of(item, "discount")))
expressions = st.recursive(
    comparison() | membership() | two_fields() | discount,
    lambda part: (
        part.map(denied) | st.tuples(part, part).map(both) | st.tuples(part, part).map(either)
    ),
    max_leaves=6,
)
item = st.fixed_dictionaries(
    {},
    optional={
        "price": NUMBER.map(float) | st.just(float("nan")),
        "list price": NUMBER.map(float),
        "year": st.integers(-3, 3),
        "title": WORD,
        "brand": WORD,
        "genres": st.lists(WORD | st.none(), max_size=3),
        "sizes": st.lists(st.integers(-3, 3) | st.none(), max_size=3),
        "discount": st.booleans(),
        "released": DAY,
    },
)


@quick
@given(st.lists(item, min_size=1, max_size=5), expressions)
def test_an_expression_means_what_plain_python_says(
    items: list[dict[str, Any]], part: Part
) -> None:
    text, meaning = part
    catalog = Catalog(table([{"item_id": str(row), **one} for row, one in enumerate(items)]))
    mask_N = catalog.matching(condition(text, catalog.table.schema))
    assert mask_N.tolist() == [meaning(one) is True for one in items]


@quick
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(["and", "or"]), st.sampled_from(["", "not "]))),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_not_binds_more_than_and_which_binds_more_than_or(
    names: list[str], words: list[tuple[str, str]], values: tuple[bool, bool, bool]
) -> None:
    text = "not " + names[0]
    for name, (word, negated) in zip(names[1:], words, strict=False):
        text += f" {word} {negated}{name}"
    row = dict(zip("abc", values, strict=True))
    frame = pl.DataFrame({"item_id": ["x"], **{name: [value] for name, value in row.items()}})
    assert Catalog(frame).matching(condition(text, frame.schema)).tolist() == [eval(text, {}, row)]


# --- Mistakes get a sentence ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "part", "sentence"),
    [
        ("pric < 50", "pric", "There is no field 'pric'. Did you mean 'price'?"),
        ("title > 3", "3", "'title' holds texts, as in 'Acme'."),
        ("title > true", "true", "'title' holds texts"),
        ("year == '1990'", "'1990'", "'year' holds numbers, as in 50."),
        ("year == true", "true", "'year' holds numbers"),
        ("year in [1990, 'x']", "'x'", "'year' holds numbers"),
        ("discount == 1", "1", "'discount' holds true or false, as in true."),
        ("discount < true", "discount < true", "'discount' is true or false, which has no order."),
        ("genres > 'a'", "genres > 'a'", "write 'x' in genres, or genres is None."),
        ("genres == ['a']", "genres == ['a']", "'genres' holds lists"),
        ("genres in ['a', 'b']", "genres in ['a', 'b']", "'genres' holds lists"),
        ("3 in genres", "3", "'genres' holds texts"),
        ("'a' in sizes", "'a'", "'sizes' holds numbers"),
        ("3 in title", "3", "'title' holds texts"),
        ("3 in year", "3 in year", "'year' holds numbers; 'in' looks into texts and lists."),
        ("3 in boxes", "3 in boxes", "lists of values of another kind"),
        ("box == 3", "box == 3", "only box is None can be asked of it."),
        ("title == ['a']", "title == ['a']", "several values are written title in ['a', 'b']."),
        ("title in 'abc'", "'abc'", "behind 'in' stands a list"),
        ("title in genres", "genres", "behind 'in' stands a list"),
        ("3 in [3]", "3 in [3]", "write field in ['a', 'b'], or 'a' in field."),
        ("title in [null]", "null", "what is missing is asked for by title is None."),
        ("`class` == None", "None", "what is missing is asked for by `class` is None."),
        ("title is 'a'", "title is 'a'", "'is' goes only with None; write ==."),
        ("3 is None", "3", "only a field can be None."),
        ("price == title", "price == title", "'price' holds numbers, 'title' texts"),
        ("released == seen", "released == seen", "'released' holds days, 'seen' moments"),
        ("released > '2020'", "'2020'", "'released' holds days, as in '2020-01-31'."),
        ("released > 2020", "2020", "'released' holds days"),
        ("seen > 'x'", "'x'", "'seen' holds moments, as in '2020-01-31T12:00'."),
        ("seen > '0001-01-01T00:00+10:00'", "'0001-01-01T00:00+10:00'", "'seen' holds moments"),
        ("price", "price", "'price' holds numbers; write what of it, as in price is None."),
        ("`list price` and price < 3", "`list price`", "as in `list price` is None."),
        ("true", "true", "a condition names a field"),
        ("1 < 2", "1 < 2", "a comparison names a field"),
        ("", "", "it is empty"),
        ("price <", "", "it ends too early."),
        ("price < 5 and", "", "it ends too early."),
        ("(price < 5", "(price < 5", "it cannot be read from here on."),
        ("price < 5)", ")", "it cannot be read from here on."),
        ("price 5", "5", "an operator or a comma is missing before it."),
        ("'a' in title 'b' in title", "'b'", "an operator or a comma is missing before it."),
        ("title in['a'] or not'b' in title", "'b'", "write a space before it."),
        ("< 5", "< 5", "it cannot be read from here on."),
        ("price = 5", "=", "equality is written ==."),
        ("price <> 5", "<>", "inequality is written !=."),
        ("price < 5 && year > 3", "&", "write 'and'."),
        ("price < 5 AND year > 3", "AND", "write 'and' in small letters."),
        ("class == 'a'", "class", "this word is reserved; a field of this name is `class`."),
        ("lambda: 0", "lambda", "this word is reserved"),
        ("title == 'a", "'", "this text has no end"),
        ("title == 'a''b'", "'b'", "an operator or a comma is missing before it."),
        ("title == f'{price}'", "'{price}'", "an operator or a comma is missing"),
        ("title == 'a\\d'", "'a\\d'", "\\d is not understood; write \\\\ for \\."),
        ("``== 3", "`", "a field's name between backquotes has no end, or is empty."),
        ("price < 5 # cheap", "#", "'#' means nothing here."),
        ("price < 5; year", ";", "';' means nothing here."),
        ("(price := 5)", ":", "':' means nothing here."),
        ("price < {5}", "{", "a list is written ['a', 'b']."),
        ("year in (1, 2)", "(1, 2)", "a list is written ['a', 'b']."),
        ("year in [price]", "price", "a list holds texts, numbers, true or false."),
        ("year in [[1]]", "[1]", "a list holds texts, numbers, true or false."),
        ("year > 3 + 4", "+", "arithmetic is not understood"),
        ("year - 3 > 4", "year - 3", "arithmetic is not understood"),
        ("-year > 4", "-year", "arithmetic is not understood"),
        ("year == --4", "--4", "arithmetic is not understood"),
        ("year == -true", "-true", "arithmetic is not understood"),
        ("year == -True", "-True", "only fields, texts, numbers and lists"),
        ("... == year", "...", "only fields, texts, numbers and lists"),
        ("(year > 3) == true", "year > 3", "a condition cannot be compared"),
        ("title.upper == 'A'", "title.upper", "a field with one is written `a.b`."),
        ("genres[0] == 'a'", "genres[0]", "write 'x' in field."),
        ("open('x') == 'a'", "open('x')", "functions are not understood."),
        ("é < 'é' and pric < 3", "é", "There is no field 'é'."),
        ("'é' in title and pric < 3", "pric", "Did you mean 'price'?"),
        ("(" * 51 + "year > 3" + ")" * 51, "(", "more than 50 brackets inside each other."),
        ("year > 1e999", "1e999", "the number is too large."),
        ("year > 9223372036854775808", "9223372036854775808", "does not fit into 64 bits."),
        ("title == '\ud800'", "'\ud800'", "half of a surrogate pair is no character."),
    ],
)
def test_a_mistake_gets_a_sentence_that_points_at_it(text: str, part: str, sentence: str) -> None:
    with pytest.raises(RuleError) as caught:
        condition(text, CATALOG.table.schema)
    assert sentence in str(caught.value)
    assert caught.value.part == part
    assert text[caught.value.place - 1 :].startswith(part)


def test_the_whole_sentence() -> None:
    with pytest.raises(RuleError) as caught:
        condition("price < 50 and year == 'x'", CATALOG.table.schema)
    assert str(caught.value) == (
        "the expression is wrong from \"'x'\" at character 24: 'year' holds numbers, as in 50."
    )


# --- Hostile texts --------------------------------------------------------------------------------

HOSTILE = {
    "import": "__import__('os').system('true')",
    "class": "().__class__.__bases__[0].__subclasses__()",
    "dunder": "__builtins__ is None",
    "power": "price < 10**1000000000",
    "NUL": "price < 5\x00",
    "NUL in a name": "`a\x00` == 1",
    "brackets": "(" * 1000 + "price < 5" + ")" * 1000,
    "lists": "price in " + "[" * 1000 + "]" * 1000,
    "nots": "not " * 1000 + "discount",
    "signs": "price < " + "-" * 4000 + "1",
    "dots": "price" + ".a" * 2000,
    "calls": "price" + "()" * 2000,
    "chain": "price" + "<1" * 2000,
    "many": " or ".join(["price<1"] * (MOST_COMPARISONS + 1)),
    "choices": "year in [" + "1," * (MOST_PARTS + 1) + "]",
    "digits": "year < " + "9" * 4000,
    "hexadecimal": "year < 0x" + "f" * 4000,
    "exponent": "price < 1e" + "9" * 4000,
    "long": "price < 5" + " " * LONGEST,
    "very long": "(" * 10_000_000,
    "quotes": "'" * 4001,
    "backslashes": "'" + "\\" * 4001,
    "backquotes": "`" * 4001,
    "comprehension": "[x for x in title]",
    "a long name": "`" + "x" * 4000 + "` == 1",
    "surrogates": "\ud800 < 5",
    "another alphabet": "ｐｒｉｃｅ < 5",
    "superscript": "price² < 5",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_text_is_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuleError) as caught:
            condition(text, CATALOG.table.schema)
    assert time.perf_counter() - start < 1
    assert len(str(caught.value)) < 1000


@quick
@given(st.text(max_size=60) | st.text("()[]<=>!'\"`\\ notandrpice._-5e,\n", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RuleError):
        CATALOG.matching(condition(text, CATALOG.table.schema))


def test_the_largest_that_is_taken() -> None:
    assert found(" or ".join(["price<1"] * MOST_COMPARISONS)) == ""
    assert found("year in [" + "1," * (MOST_PARTS - 1) + "]") == ""
    assert found("(" * DEEPEST + "price > 5" + ")" * DEEPEST) == "a"
    assert found("not " * (DEEPEST - 2) + "discount") == "a"


# --- Two expressions ------------------------------------------------------------------------------


def test_two_expressions_hold_together() -> None:
    both_hold = joined("price < 50 or year > 1990", "discount or title is None")
    assert both_hold == "(price < 50 or year > 1990) and (discount or title is None)"
    assert found(both_hold) == "a"


@pytest.mark.parametrize("second", ["true) or (discount", "discount #", "price < 5) or (year > 1"])
def test_an_expression_cannot_leave_its_brackets(second: str) -> None:
    with pytest.raises(RuleError):
        joined("price < 50", second)


def test_two_filters_of_the_longest_kind_can_be_joined() -> None:
    longest = "title == '" + "x" * (2000 - 11) + "'"
    assert len(longest) == 2000
    read(joined(longest, longest))
