"""Reading of delimited text: CSV, TSV, `::` files and RecBole's atomic files.

Polars reads the file if every record has as many fields as the header. Where one has not, or a
stray quotation mark confuses the count, Python's `csv` reads it, more slowly, and knows which line
it was. Every value stays a string here: "007" must not become 7 before anyone has looked.

Shapes      R records of a file, header included.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from itemlm.data.columns import unique_names
from itemlm.types import DataError, IntArray

SEPARATORS = ("::", "\t", "|", ";", ",")
STAND_IN = "\x1f"  # takes the place of "::", since Polars wants a separator of one byte
TYPED = re.compile(r"(.+):(token|token_seq|float|float_seq)")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
SAMPLE_LINES = 20


@dataclass(frozen=True, kw_only=True)
class Delimited:
    """What a delimited file holds.

    Attributes:
        frame: strings, None where a field is empty.
        lines: [rows] the line in which each row starts, from 1.
        kinds: column to type, where the header is typed as in `age:float`.
        headless: the first line is data already, and columns are called column_1, column_2, ...
        ragged: lines with too few or too many fields, and what is wrong with each.
    """

    frame: pl.DataFrame
    lines: IntArray
    kinds: dict[str, str]
    headless: bool
    ragged: list[tuple[int, str]]


def read_delimited(data: bytes, name: str) -> Delimited:
    """Split UTF-8 text, which holds more than white space, into columns of strings.

    Args:
        data: the text.
        name: what errors call the file.

    Raises:
        DataError: if a quotation mark is never closed.
    """
    # 1. See how the first lines are laid out.
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    body = data.lstrip(b"\r\n ")
    lines_above = data.count(b"\n", 0, len(data) - len(body))
    body = body.rstrip(b"\r\n ")
    head = [line.decode().rstrip("\r") for line in body.split(b"\n", SAMPLE_LINES)[:SAMPLE_LINES]]
    separator = sniff(head)
    if separator == "::":
        body, head[0] = body.replace(b"::", STAND_IN.encode()), head[0].replace("::", STAND_IN)
        separator = STAND_IN

    # 2. Name the columns.
    fields = [field.strip() for field in _cut(head[0], separator)]
    types = [TYPED.fullmatch(field) for field in fields]
    headless = any(NUMBER.fullmatch(field) for field in fields)
    if headless:
        columns = [f"column_{place}" for place in range(1, len(fields) + 1)]
    else:
        bare = [match[1] if match else field for field, match in zip(fields, types, strict=True)]
        columns = unique_names(bare)
    kinds = {column: match[2] for column, match in zip(columns, types, strict=True) if match}

    # 3. Read the records. Where tabs, bars or "::" separate, a quotation mark usually is just a
    #    character of a title: it encloses a field only if the lines do not come out even.
    enclosing = separator in ",;"
    quotes = enclosing and b'"' in body
    lines_R = even_lines(body, separator, len(fields), quotes=quotes)
    if lines_R is None and not enclosing and b'"' in body:
        lines_R = even_lines(body, separator, len(fields), quotes=True)
        quotes = lines_R is not None
    frame = None if lines_R is None else _fast(body, separator, columns, quotes)
    ragged: list[tuple[int, str]] = []
    if lines_R is None or frame is None or len(frame) != len(lines_R):
        frame, lines_R, ragged = _slow(body, separator, columns, quotes, name)
    if not headless:
        frame, lines_R = frame[1:], lines_R[1:]
    text = pl.col(pl.String).str.strip_chars()
    if not quotes and b'"' in body:
        inside = text.str.extract(r'(?s)^"((?:[^"]|"")*)"$').str.replace_all('""', '"')
        text = inside.fill_null(text)
    return Delimited(
        frame=frame.with_columns(text.replace("", None)),
        lines=lines_R + lines_above,
        kinds=kinds,
        headless=headless,
        ragged=[(line + lines_above, what) for line, what in ragged],
    )


def sniff(head: Sequence[str]) -> str:
    """The separator: the one that cuts the first lines most often and all into the same number."""
    best, most = ",", 1
    for even in (True, False):
        for separator in SEPARATORS:
            lines = [line for line in (head if even else head[:1]) if line]
            cut = str.split if separator == "::" else _cut
            widths = [len(cut(line, separator)) for line in lines]
            if widths[0] > most and len(set(widths)) == 1:
                best, most = separator, widths[0]
        if most > 1:
            break
    return best


def _cut(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:  # a lone carriage return, or more text than a field may hold
        return line.split(separator)


def even_lines(data: bytes, separator: str, width: int, *, quotes: bool) -> IntArray | None:
    """The line of each record if every record has `width` fields, else None.

    Args:
        data: text without line breaks at its ends.
        separator: one character.
        width: fields that a record ought to have.
        quotes: whether separators and line breaks between quotation marks count as text.

    Returns:
        lines_R, from 1.
    """
    text = np.frombuffer(data, dtype=np.uint8)
    breaks = np.append(np.flatnonzero(text == ord("\n")), len(text))
    cuts = np.flatnonzero(text == ord(separator))
    last_line = np.arange(1, len(breaks) + 1)
    if quotes:
        marks = np.flatnonzero(text == ord('"'))
        if len(marks) % 2:
            return None
        outside = np.searchsorted(marks, breaks) % 2 == 0
        breaks, last_line = breaks[outside], last_line[outside]
        cuts = cuts[np.searchsorted(marks, cuts) % 2 == 0]
    widths_R = np.diff(np.searchsorted(cuts, breaks), prepend=0) + 1
    lengths_R = np.diff(breaks, prepend=-1) - 1
    if (widths_R != width).any() or lengths_R.min() < 2:  # an empty line may hold a "\r"
        return None
    return np.append(1, last_line[:-1] + 1)


def _fast(data: bytes, separator: str, columns: Sequence[str], quotes: bool) -> pl.DataFrame | None:
    try:
        return pl.read_csv(
            data,
            has_header=False,
            new_columns=columns,
            separator=separator,
            quote_char='"' if quotes else None,
            infer_schema=False,
        )
    except pl.exceptions.PolarsError:
        return None


def _slow(
    data: bytes, separator: str, columns: Sequence[str], quotes: bool, name: str
) -> tuple[pl.DataFrame, IntArray, list[tuple[int, str]]]:
    """Even records and their lines, and ragged ones with what is wrong."""
    rows, lines, ragged = [], [], []
    final = range(1, 2)
    for first, last, record in _records(data.decode(), separator, quotes, name):
        final = range(first, last + 1)
        if len(record) == len(columns):
            rows.append(record)
            lines.append(first)
        elif first == 1:  # a header whose quotation marks enclose nothing
            rows.append(list(columns))
            lines.append(first)
        elif record:
            count = f"{len(record)} {'field' if len(record) == 1 else 'fields'}"
            runs = f" and runs on to line {last} between quotation marks" if last > first else ""
            said = f"it has {count} where the first line has {len(columns)}{runs}"
            ragged.append((first, said))
    if quotes and len(final) > 1 and data.count(b'"') % 2:
        raise DataError(
            f"{name}, line {final[0]}: a quotation mark opens a field here and is never closed, "
            'so the rest of the file cannot be read. Close it, or double it ("") if it is text.'
        )
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    return frame, np.array(lines, dtype=np.int64), ragged


def _records(
    text: str, separator: str, quotes: bool, name: str
) -> Iterator[tuple[int, int, list[str]]]:
    """Every record with its first and last line."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting)
    first = 1
    try:
        for record in reader:
            yield first, reader.line_num, record
            first = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{name}, line {first} cannot be split into fields: {error}.") from error
