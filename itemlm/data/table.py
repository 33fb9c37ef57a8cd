"""Table: rows on their way into a Dataset, which remember the line that they came from.

Every check of the readers ends in `Table.reject`: it stops with a sentence that names file, line,
value and fix, or, where the caller asked for it, drops the bad rows and notes how many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import polars as pl

from itemlm.types import BoolArray, DataError, IntArray

OnError = Literal["stop", "drop"]

MEND = "Mend it, or leave such rows out with on_error='drop' (--on-error drop)."


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file or frame as it was read, before its values are understood.

    Attributes:
        name: what messages call it, such as "ratings.csv" or "the events frame".
        frame: the rows; in a text table every column is a string, with None where it was empty.
        places: [rows] where each row stands: its line in a file of lines, else its row number; None
            as long as that is 0, 1, 2 and so on.
        unit: what `places` counts: "line" (from 1) or "row" (from 0).
        text: whether the values still have to be told apart into numbers, lists and text.
        headless: whether a text file has no header line, so that its columns are numbered.
        kinds: what a typed header (`age:float`) says of each column.
        on_error: "stop" at the first bad row or "drop" bad rows.
        notes: what was done so far, in sentences.
        all_columns: those of the file, where only some of them were read.
    """

    name: str
    frame: pl.DataFrame
    places: IntArray | None = None
    unit: Literal["line", "row"] = "row"
    text: bool = False
    headless: bool = False
    kinds: Mapping[str, str] = field(default_factory=dict)
    on_error: OnError = "stop"
    notes: tuple[str, ...] = ()
    all_columns: Sequence[str] = ()

    @property
    def header(self) -> Sequence[str]:
        """The columns there are, read or not."""
        return self.all_columns or self.frame.columns

    def where(self, row: int) -> str:
        """`ratings.csv, line 7`."""
        from_zero = " (counted from 0)" if self.unit == "row" else ""
        return f"{self.name}, {self.unit} {self._places[row]}{from_zero}"

    @property
    def _places(self) -> IntArray:
        return np.arange(len(self.frame)) if self.places is None else self.places

    def reject(self, bad: BoolArray, what: str, say: Callable[[int], str]) -> Table:
        """The table without its bad rows, or an error at the first of them.

        Args:
            bad: [rows] which rows cannot be used.
            what: completes "dropped 3 rows with ...".
            say: the sentence about one row, without place and full stop.

        Raises:
            DataError: if there is a bad row and `on_error` is "stop".
        """
        if not bad.any():
            return self
        first = int(np.argmax(bad))
        if self.on_error == "stop":
            raise DataError(f"{self.where(first)}: {say(first)}. {MEND}")
        kept = self._dropped(int(bad.sum()), "row", f"with {what}", self._places[first])
        return replace(kept, frame=self.frame.filter(~bad), places=self._places[~bad])

    def report(self, bad: Sequence[tuple[int, str]], what: str) -> Table:
        """The same table, or an error where lines could not even become rows.

        Args:
            bad: line and what is wrong with it, first line first.
            what: completes "dropped 3 lines ...", as in "with too many fields".

        Raises:
            DataError: if there is a bad line and `on_error` is "stop".
        """
        if not bad:
            return self
        line, sentence = bad[0]
        if self.on_error == "stop":
            raise DataError(f"{self.name}, line {line}: {sentence}. {MEND}")
        return self._dropped(len(bad), "line", what, line)

    def _dropped(self, count: int, thing: str, what: str, first: int) -> Table:
        things = thing if count == 1 else f"{thing}s"
        return self.with_notes(
            f"{self.name}: dropped {count} {things} {what} (first: {self.unit} {first})."
        )

    def with_frame(self, frame: pl.DataFrame) -> Table:
        """The same rows with other columns."""
        return replace(self, frame=frame)

    def with_notes(self, *notes: str) -> Table:
        """The same rows with more to tell."""
        return replace(self, notes=(*self.notes, *notes))
