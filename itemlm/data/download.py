"""Download: files from the network that arrive whole and checked, or not at all.

`fetch` writes to `<name>.part` beside the goal, goes on where an earlier attempt stopped, verifies
the checksum and only then renames. Where nobody publishes a checksum, that of the first download
is kept in `<name>.sha256` and every later one must match it.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from itemlm.data.archive import damage
from itemlm.types import DataError

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 18  # bytes
WORTH_RETRYING = {408, 416, 425, 429, 500, 502, 503, 504}  # HTTP statuses


def fetch(
    url: str,
    path: Path | str,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    progress: bool = True,
    by_hand: str | None = None,
    attempts: int = 4,
    wait: float = 1.0,
) -> Path:
    """Download `url` to `path`, unless it is there already; verified in both cases.

    Args:
        url: http or https.
        path: where the file is to be.
        sha256, md5: the published checksum, in hex, if there is one.
        progress: show a bar on the terminal's error stream.
        by_hand: how to place the file without us, for the message when the network fails.
        attempts: failures in a row, without a byte gained, before we give up.
        wait: seconds before the second attempt; doubles with each further one.

    Raises:
        DataError: if the network fails or the content is not what it should be.
    """
    path = Path(path)
    record = path.with_name(f"{path.name}.sha256")
    expected = _expected(record, sha256, md5)
    if path.exists():
        if wrong := _what_is_wrong(path, path.suffix, expected):
            raise DataError(f"{path} is damaged: {wrong}. Delete it to download it again.")
        if expected is None:
            with suppress(OSError):  # a folder that may only be read
                _keep_record(record, path)
        return path

    part = _Part(path.with_name(f"{path.name}.part"), url)
    failed = _Failure(url, path, by_hand or f"fetch it by other means and save it as {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        resumed = _receive_all(part, failed, progress, attempts, wait)
        wrong = _what_is_wrong(part.path, path.suffix, expected)
        if wrong and resumed:  # the pieces may not belong together: once more, from the start
            part.discard()
            _receive_all(part, failed, progress, attempts, wait)
            wrong = _what_is_wrong(part.path, path.suffix, expected)
        if wrong:
            part.discard()
            raise failed.because(wrong)
        if expected is None:
            _keep_record(record, part.path)
        part.path.replace(path)
        part.discard()
    except OSError as error:
        raise failed.because(f"this machine could not write it ({error})") from error
    return path


# --- What is known to go wrong --------------------------------------------------------------


class _Failure(NamedTuple):
    """The sentence that every failed download ends in."""

    url: str
    path: Path
    by_hand: str

    def because(self, reason: str) -> DataError:
        return DataError(
            f"could not download {self.url} to {self.path}: {reason}. "
            f"Try again later, or {self.by_hand}."
        )


class _Interrupted(Exception):
    """The network broke off; what has come so far is kept."""


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)


# --- Receiving ------------------------------------------------------------------------------


@dataclass
class _Memo:
    """What the server said of the file that a part belongs to."""

    url: str
    size: int | None
    validator: str | None  # a strong ETag or the date of the last change


class _Part:
    """A file that has come in part, and what is needed to go on with it."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.url = path, url
        self._memo_path = path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def memo(self) -> _Memo | None:
        """None where the part cannot be continued."""
        try:
            memo = _Memo(**json.loads(self._memo_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        known = memo.size is not None or memo.validator is not None
        return memo if self.path.exists() and memo.url == self.url and known else None

    def remember(self, memo: _Memo) -> None:
        self._memo_path.write_text(json.dumps(asdict(memo)), encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._memo_path.unlink(missing_ok=True)


def _receive_all(part: _Part, failed: _Failure, progress: bool, attempts: int, wait: float) -> bool:
    """Receive until the part is whole; True if more than one connection contributed."""
    failures, most, resumed = 0, part.size, False
    while True:
        try:
            return _receive(part, progress) or resumed
        except _Interrupted as error:
            resumed = part.size > 0
            failures = 0 if part.size > most else failures + 1
            most = max(most, part.size)
            if failures >= attempts:
                raise failed.because(str(error)) from error
            time.sleep(wait * 2 ** max(failures - 1, 0))
        except HTTPError as error:
            raise failed.because(f"the server answered {error.code} {error.reason}") from error
        except ValueError as error:
            raise failed.because(f"the address cannot be read ({error})") from error


def _receive(part: _Part, progress: bool) -> bool:
    """Receive as much as one connection gives; True if it went on from an earlier one."""
    memo = part.memo()
    if memo is None:
        part.discard()
    elif part.size == memo.size:
        return True
    with _ask(part, memo) as answer:
        start, size = _span(answer)
        if start and (start != part.size or (memo and memo.size not in (None, size))):
            part.discard()
            raise _Interrupted("the file changed on the server while it was downloaded")
        etag = answer.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else answer.headers.get("Last-Modified")
        part.remember(_Memo(part.url, size, validator))
        with part.path.open("r+b" if start else "wb") as sink:
            sink.seek(start)
            _copy(answer, sink, part.path.stem, start, size, progress)
    if size is not None and part.size != size:
        raise _Interrupted(f"the connection broke off after {part.size:,} of {size:,} bytes")
    return start > 0


def _ask(part: _Part, memo: _Memo | None) -> HTTPResponse:
    headers = {"User-Agent": "itemlm", "Accept-Encoding": "identity"}
    if memo and part.size:
        headers["Range"] = f"bytes={part.size}-"
        if memo.validator:
            headers["If-Range"] = memo.validator
    try:
        answer: HTTPResponse = urlopen(Request(part.url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # the part is longer than the file is now
            part.discard()
        if error.code in WORTH_RETRYING:
            reason = f"the server answered {error.code} {error.reason}"
            raise _Interrupted(reason) from error
        raise
    except (OSError, HTTPException) as error:
        raise _Interrupted(f"the server cannot be reached ({_reason(error)})") from error
    return answer


def _span(answer: HTTPResponse) -> tuple[int, int | None]:
    """Where the answer's bytes start in the file, and the size of the whole file if it is told."""
    if answer.status == 206:  # Content-Range: bytes 100-199/200
        span, _, total = answer.headers.get("Content-Range", "").partition("/")
        start = span.removeprefix("bytes ").partition("-")[0]
        if not start.isdigit():
            raise _Interrupted("the server sent a range that it does not describe")
        return int(start), int(total) if total.isdigit() else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _copy(
    answer: HTTPResponse, sink: BinaryIO, name: str, start: int, size: int | None, progress: bool
) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task(name, total=size, completed=start)
        while True:
            try:
                chunk = answer.read(CHUNK)
            except (OSError, HTTPException) as error:
                raise _Interrupted(f"the connection broke off ({_reason(error)})") from error
            if not chunk:
                return
            sink.write(chunk)
            bar.advance(task, len(chunk))


# --- Verifying ------------------------------------------------------------------------------


class _Checksum(NamedTuple):
    kind: str  # a name that hashlib knows
    digits: str
    origin: str  # who says so


def _expected(record: Path, sha256: str | None, md5: str | None) -> _Checksum | None:
    """The checksum that the file must have; None at the first time where none is published."""
    if sha256:
        return _Checksum("sha256", sha256.lower(), "as published")
    if md5:
        return _Checksum("md5", md5.lower(), "as published")
    with suppress(OSError, IndexError):
        digits = record.read_text(encoding="utf-8").split()[0]
        return _Checksum("sha256", digits, f"as recorded in {record} when it first came")
    return None


def _what_is_wrong(path: Path, suffix: str, expected: _Checksum | None) -> str | None:
    """Why a file's content cannot be trusted, or None."""
    if expected is None:
        return damage(path, suffix)
    found = _digest(expected.kind, path)
    if found == expected.digits:
        return None
    return f"its {expected.kind} is {found} instead of {expected.digits}, {expected.origin}"


def _digest(kind: str, path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


def _keep_record(record: Path, path: Path) -> None:
    """In the form that `sha256sum --check` reads."""
    record.write_text(f"{_digest('sha256', path)}  {record.stem}\n", encoding="utf-8")
