"""Reading of delimited text: CSV, TSV, `::` files and RecBole's atomic files.

Polars reads the file if every line has as many fields as the header. Where one has not, or a stray
quotation mark confuses the count, Python's `csv` reads it more slowly and knows which line it was.
Every value stays a string here, so that "007" is not taken for 7 before anyone looked.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from itemlm.types import DataError, IntArray

SEPARATORS = ("::", "\t", "|", ";", ",")
STAND_IN = "\x1f"  # takes the place of "::", since Polars wants a separator of one byte
TYPED = re.compile(r"^(.+):(token|token_seq|float|float_seq)$")
NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
SAMPLE_LINES = 20


@dataclass(frozen=True, kw_only=True)
class Delimited:
    """What a delimited file holds.

    Attributes:
        frame: strings, None where a field is empty.
        lines: [rows] the line of each row, from 1.
        kinds: column to type, where the header is typed as in `age:float`.
        headless: the first line is data, and columns are called column_1, column_2, ...
        ragged: lines with too few or too many fields, with a sentence each.
    """

    frame: pl.DataFrame
    lines: IntArray
    kinds: dict[str, str]
    headless: bool
    ragged: list[tuple[int, str]]


def read_delimited(data: bytes, name: str) -> Delimited:
    """Split UTF-8 text into columns of strings.

    Args:
        data: the text; it holds more than white space.
        name: what errors call the file.

    Raises:
        DataError: if a quotation mark is never closed.
    """
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    data = data.rstrip(b"\r\n \x00")
    skipped = len(data) - len(data.lstrip(b"\r\n"))
    above = data[:skipped].count(b"\n")
    data = data[skipped:]
    head = [line.decode() for line in data.split(b"\n", SAMPLE_LINES)[:SAMPLE_LINES]]
    head = [line.rstrip("\r") for line in head]
    separator = sniff(head)
    if separator == "::":
        data, head[0] = data.replace(b"::", STAND_IN.encode()), head[0].replace("::", STAND_IN)
        separator = STAND_IN
    fields = _strip(next(csv.reader([head[0]], delimiter=separator)))
    typed = [TYPED.match(field) for field in fields]
    headless = any(NUMBER.match(field) for field in fields)
    if headless:
        names = [f"column_{place}" for place in range(1, len(fields) + 1)]
    else:
        names = _unique([match[1] if match else field for match, field in zip(typed, fields, strict=True)])
    lines, widths, even = scan(data, separator, quotes=False)
    # In files with tabs, bars or "::" a quotation mark is usually just a character of a title.
    quotes = b'"' in data and not (even and separator not in ",;")
    ...
