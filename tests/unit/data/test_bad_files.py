"""Bad files: missing, empty, damaged, of another encoding or format; each ends in one sentence."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.types import ConfigError, ItemlmError

MEND = "Mend it, or leave such rows out with on_error='drop' (--on-error drop)."
GOOD = "user_id,item_id,rating,timestamp\nann,1,5,1500000000\nben,2,4,1500000001\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(GOOD)
    return path


def message(log: object, *further: object, **options: object) -> str:
    with pytest.raises(ItemlmError) as caught:
        Dataset.from_files(log, *further, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_file_that_is_missing(log: Path) -> None:
    wrong = log.with_name("logs.csv")
    assert message(wrong) == (
        f"there is no file {wrong} (looked from {Path.cwd()}). Did you mean {log}?"
    )


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert message(tmp_path) == f"{tmp_path} is a folder; name the file with the events in it."


def test_a_file_that_may_not_be_read(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, mode: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert message(log) == f"{log} cannot be opened: Permission denied."


@pytest.mark.parametrize("content", [b"", b"  \n\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    assert message(path) == (f"{path} is empty. Give a file with a header line and a row per line.")


@pytest.mark.parametrize("content", ["user_id,item_id\n", "user_id,item_id"])
def test_a_header_without_rows(log: Path, content: str) -> None:
    log.write_text(content)
    assert message(log) == "log.csv has no rows under its header, so there is nothing to read."


def test_a_catalog_without_rows(log: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\n")
    assert message(log, items).startswith("items.csv has no rows under its header")


def test_a_wrong_encoding(log: Path) -> None:
    log.write_bytes(GOOD.encode() + "ben,Café,1,1500000002\n".encode("latin-1"))
    byte = len(GOOD) + len("ben,Caf")
    assert message(log) == (
        f"{log}, line 4: the file is not utf-8; byte {byte} is 0xe9. Name its encoding, perhaps "
        "with encoding='latin-1' (--encoding latin-1)."
    )


def test_utf_16_is_recognized(log: Path) -> None:
    log.write_bytes(GOOD.encode("utf-16"))
    assert "perhaps with encoding='utf-16' (--encoding utf-16)" in message(log)
    assert len(Dataset.from_files(log, encoding="utf-16").users) == 2


def test_an_encoding_that_does_not_exist(log: Path) -> None:
    with pytest.raises(ConfigError, match="there is no encoding 'utf-9'"):
        Dataset.from_files(log, encoding="utf-9")


def test_a_spreadsheet_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "log.xlsx"
    path.write_bytes(b"PK\x03\x04\x14\x00\x08\x08\xff\xfe" + bytes(range(256)))
    assert message(path) == (
        f"{path} is not text. CSV, TSV, JSON lines and Parquet files are read, gzipped too."
    )


@pytest.mark.parametrize("cut", [5, 30, -9, -1])
def test_a_damaged_gzip_file(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode())[:cut])
    assert message(path).startswith(f"{path} is a damaged gzip file (")
    assert message(path).endswith("Download or compress it again.")


def test_a_file_that_is_only_called_gzip(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_text(GOOD)
    assert message(path) == f"{path} is called .gz but is not gzipped. Rename it or gzip it."


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2]}).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [parquet()[:-20], b"no Parquet at all", b"PAR1" * 10])
def test_a_damaged_parquet_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.parquet"
    path.write_bytes(content)
    assert message(path).startswith(f"{path} is not a readable Parquet file (")
    assert message(path).endswith("Write or download it again.")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"user": "cem", "item"', "it is not JSON (Expecting ':' delimiter: line 1 column 23"),
        ("{'user': 'cem', 'item': 1}", "it is not JSON (Expecting property name"),
        ("[1, 2]", "it is not a JSON object: '[1, 2]'"),
        ("5", "it is not a JSON object: '5'"),
    ],
)
def test_a_damaged_json_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "log.jsonl"
    good = '{"user": "ann", "item": 1}\n\n{"user": "ben", "item": 2}\n'
    path.write_text(good + line + "\n")
    assert message(path).startswith(f"log.jsonl, line 4: {said}")
    dataset = Dataset.from_files(path, on_error="drop")
    assert len(dataset.sequences.item_rows) == 2
    assert dataset.notes[0] == ("log.jsonl: dropped 1 line without a JSON object (first: line 4).")


def test_one_json_array(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('[{"user": 1, "item": 1}]')
    assert message(path) == (
        f"{path} is one JSON array; write its objects as JSON lines, one per line."
    )


def test_a_quotation_mark_that_is_never_closed_stops_even_when_dropping(log: Path) -> None:
    # Otherwise everything after it would silently be one field.
    log.write_text('user,item,note\nann,1,"open\nben,2,x\ncem,3,y\n')
    for on_error in ("stop", "drop"):
        assert message(log, on_error=on_error) == (
            "log.csv, line 2: a quotation mark opens a field here and is never closed, so the rest "
            'of the file cannot be read. Close it, or double it ("") if it is text.'
        )


def test_a_ragged_record_of_several_lines_says_how_far_it_goes(log: Path) -> None:
    log.write_text('user,item\nann,"1\nben",2,3\ncem,4\n')
    assert message(log) == (
        "log.csv, line 2: it has 4 fields where the first line has 2 and runs on to line 3 between "
        f"quotation marks. {MEND}"
    )


def test_a_field_too_long_to_tell_apart(log: Path) -> None:
    # Only where the lines are uneven, since even ones are not read one by one.
    log.write_text(f'user,item,note\nann,1,"{"x" * 200_000}"\nben,2\n')
    assert message(log) == (
        "log.csv, line 2 cannot be split into fields: field larger than field limit (131072)."
    )
