"""From a path to a Table: what is on disk, in whatever format, and what is wrong with it.

Delimited text, JSON lines and Parquet are read, gzipped too. The format follows from the file's
name or, where that says nothing, from its first bytes.
"""

from __future__ import annotations

import difflib
import gzip
import io
import json
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from itemlm.data.delimited import read_delimited
from itemlm.data.frames import as_series
from itemlm.data.table import OnError, Table
from itemlm.types import ConfigError, DataError, IntArray

PathLike = str | os.PathLike[str]
Needed = Callable[[Sequence[str]], Sequence[str]]  # from all columns to those that will be used

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "delimited",
    ".tsv": "delimited",
    ".inter": "delimited",
    ".item": "delimited",
    ".user": "delimited",
}


def read_table(
    path: PathLike,
    what: str,
    *,
    encoding: str,
    on_error: OnError,
    needed: Needed | None = None,
) -> Table:
    """Read one file.

    Args:
        path: the file.
        what: what it is for, such as "events".
        encoding: of text.
        on_error: what to do about lines that cannot be read.
        needed: chooses columns, since a format that stores them apart can leave the others on
            disk; None for all.

    Raises:
        DataError: if there is no such file, or it is empty, damaged or in another format.
        ConfigError: if there is no such encoding.
    """
    file = _existing(path, what)
    if _bytes(file, len(PARQUET)) == PARQUET:
        return _parquet(file, file, on_error, needed)
    data = _unzipped(file)
    if not data or data.isspace():
        raise DataError(f"{file} is empty. Give a file with a header line and a row per line.")
    suffixes = [suffix for suffix in file.suffixes if suffix != ".gz"]
    form = FORMATS.get(suffixes[-1].lower() if suffixes else "")
    if form == "parquet" or data.startswith(PARQUET):
        return _parquet(io.BytesIO(data), file, on_error, needed)
    text = _utf8(data, encoding, file)
    if form == "json" or (form is None and text.lstrip()[:1] in (b"{", b"[")):
        frame, lines, bad = _json_lines(text, file)
        table = Table(name=file.name, frame=frame, places=lines, unit="line", on_error=on_error)
        return table.report(bad, "without a JSON object")
    read = read_delimited(text, file.name)
    table = Table(
        name=file.name,
        frame=read.frame,
        places=read.lines,
        unit="line",
        text=True,
        headless=read.headless,
        kinds=read.kinds,
        on_error=on_error,
    )
    if read.headless:
        table = table.with_notes(
            f"{file.name} has no header line; its columns are called column_1 to "
            f"column_{len(read.frame.columns)}."
        )
    return table.report(read.ragged, "with too few or too many fields")


def _existing(path: PathLike, what: str) -> Path:
    try:
        file = Path(path)
    except TypeError as error:
        raise DataError(
            f"the {what} are a {type(path).__name__}, not a path. Use Dataset.from_frames for "
            "Polars and pandas frames."
        ) from error
    if file.is_dir():
        raise DataError(f"{file} is a folder; name the file with the {what} in it.")
    if not file.exists():
        beside = [other.name for other in file.parent.iterdir()] if file.parent.is_dir() else []
        near = difflib.get_close_matches(file.name, beside, n=1)
        hint = f" Did you mean {file.parent / near[0]}?" if near else ""
        raise DataError(f"there is no file {file} (looked from {Path.cwd()}).{hint}")
    return file


def _bytes(file: Path, count: int = -1) -> bytes:
    """The first bytes of a file, or all."""
    try:
        with file.open("rb") as opened:
            return opened.read(count)
    except OSError as error:
        raise DataError(f"{file} cannot be opened: {error.strerror}.") from error


def _unzipped(file: Path) -> bytes:
    data = _bytes(file)
    if not data.startswith(GZIP):
        if file.suffix == ".gz" and data:
            raise DataError(f"{file} is called .gz but is not gzipped. Rename it or gzip it.")
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{file} is a damaged gzip file ({error}). Download or compress it again."
        ) from error


def _utf8(data: bytes, encoding: str, file: Path) -> bytes:
    """The text in UTF-8, without a byte order mark."""
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise ConfigError(
            f"there is no encoding '{encoding}'. Usual ones are utf-8, latin-1, cp1252, utf-16."
        ) from error
    except UnicodeDecodeError as error:
        other = "utf-16" if data.startswith(UTF_16) else "latin-1"
        line = data.count(b"\n", 0, error.start) + 1
        if b"\x00" in data[:1000] and other == "latin-1":
            raise DataError(
                f"{file} is not text. CSV, TSV, JSON lines and Parquet files are read, gzipped too."
            ) from error
        raise DataError(
            f"{file}, line {line}: the file is not {encoding}; byte {error.start} is "
            f"0x{data[error.start]:02x}. Name its encoding, perhaps with encoding='{other}' "
            f"(--encoding {other})."
        ) from error
    return text.removeprefix("\ufeff").encode()


def _parquet(
    source: Path | io.BytesIO, file: Path, on_error: OnError, needed: Needed | None
) -> Table:
    try:
        rows = pl.scan_parquet(source, glob=False)
        header = rows.collect_schema().names()
        chosen = [] if needed is None else [name for name in header if name in needed(header)]
        frame = rows.select(chosen or header).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(
            f"{file} is not a readable Parquet file ({_first_line(error)}). Write or download it "
            "again."
        ) from error
    return Table(name=file.name, frame=frame, on_error=on_error, all_columns=header)


def _json_lines(data: bytes, file: Path) -> tuple[pl.DataFrame, IntArray, list[tuple[int, str]]]:
    """One row per object, the line of each, and the lines that hold none."""
    data = data.rstrip()
    if data.lstrip().startswith(b"["):
        raise DataError(f"{file} is one JSON array; write its objects as JSON lines, one per line.")
    lines = np.arange(1, data.count(b"\n") + 2)
    try:
        frame = pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
    except (pl.exceptions.PolarsError, RuntimeError):  # the latter in older versions of Polars
        return _json_lines_slowly(data)
    return (frame, lines, []) if len(frame) == len(lines) else _json_lines_slowly(data)


def _json_lines_slowly(data: bytes) -> tuple[pl.DataFrame, IntArray, list[tuple[int, str]]]:
    records, lines, bad = [], [], []
    for line, text in enumerate(data.decode().split("\n"), start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            bad.append((line, f"it is not JSON ({_first_line(error)}): {text[:60]!r}"))
            continue
        if isinstance(record, dict):
            records.append(record)
            lines.append(line)
        else:
            bad.append((line, f"it is not a JSON object: {text[:60]!r}"))
    columns = dict.fromkeys(column for record in records for column in record)
    series = [as_series(column, [record.get(column) for record in records]) for column in columns]
    return pl.DataFrame(series), np.array(lines, dtype=np.int64), bad


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
