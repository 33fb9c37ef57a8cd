"""Downloads that break off, lie or change, against a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from itemlm.data.archive import unpack
from itemlm.data.download import fetch
from itemlm.types import DataError

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes, so that a cut falls inside
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
quick = partial(fetch, progress=False, wait=0.0)


@dataclass
class Server:
    """A web server whose misbehavior is a setting.

    `cuts[i]` is the number of bytes after which answer i breaks off, `statuses[i]` the error that
    request i gets instead of an answer; both lists are used up.
    """

    content: bytes = CONTENT
    etag: str | None = '"one"'
    knows_ranges: bool = True
    tells_size: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges_asked: list[str | None] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    """Plain HTTP/1.0: the end of the connection is the end of the answer."""

    server_state: Server

    def do_GET(self) -> None:
        state = self.server_state
        asked = self.headers.get("Range")
        state.ranges_asked.append(asked)
        if state.statuses:
            self.send_error(state.statuses.pop(0))
            return
        same = self.headers.get("If-Range") in (None, state.etag)
        start = 0
        if asked and state.knows_ranges and same:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(state.content):
                self.send_error(416)
                return
            self.send_response(206)
            last, total = len(state.content) - 1, len(state.content)
            self.send_header("Content-Range", f"bytes {start}-{last}/{total}")
        else:
            self.send_response(200)
        body = state.content[start:]
        if state.tells_size:
            self.send_header("Content-Length", str(len(body)))
        if state.etag:
            self.send_header("ETag", state.etag)
        self.end_headers()
        self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()
    handler = type("BoundHandler", (Handler,), {"server_state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        state.url = f"http://127.0.0.1:{running.server_port}/data.bin"
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        running.shutdown()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- When all goes well ---------------------------------------------------------------------


def test_a_file_arrives_whole_in_a_folder_made_for_it(server: Server, tmp_path: Path) -> None:
    path = quick(server.url, tmp_path / "deep" / "data.bin", md5=MD5)
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == {"data.bin"}


def test_what_is_there_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        quick(server.url, tmp_path / "data.bin", sha256=SHA256.upper())
    assert server.ranges_asked == [None]


def test_a_bar_is_shown_on_the_error_stream(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(server.url, tmp_path / "data.bin", md5=MD5)
    output = capsys.readouterr()
    assert "data.bin" in output.err
    assert output.out == ""


# --- When the connection breaks off ---------------------------------------------------------


def test_it_goes_on_where_the_connection_broke_off(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 200_000]
    path = quick(server.url, tmp_path / "data.bin", md5=MD5)
    assert path.read_bytes() == CONTENT
    # 300,000 bytes came first and 200,000 more after them.
    assert server.ranges_asked == [None, "bytes=300000-", "bytes=500000-"]


def test_breaking_off_often_is_no_failure_while_bytes_come(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000] * 10  # 10 * 100,000 of 1,024,000 bytes, then the rest
    assert quick(server.url, tmp_path / "data.bin", md5=MD5, attempts=2).read_bytes() == CONTENT
    assert len(server.ranges_asked) == 11


def test_a_later_call_goes_on_with_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.cuts, server.statuses = [300_000], []
    with pytest.raises(DataError, match="300,000 of 1,024,000 bytes"):
        quick(server.url, tmp_path / "data.bin", md5=MD5, attempts=0)
    assert "data.bin.part" in names(tmp_path)
    quick(server.url, tmp_path / "data.bin", md5=MD5)
    assert server.ranges_asked == [None, "bytes=300000-"]
    assert names(tmp_path) == {"data.bin"}


def test_a_server_without_ranges_is_asked_for_everything_again(
    server: Server, tmp_path: Path
) -> None:
    server.knows_ranges, server.cuts = False, [300_000]
    assert quick(server.url, tmp_path / "data.bin", md5=MD5).read_bytes() == CONTENT


def test_pieces_of_two_versions_are_never_joined(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000]
    with pytest.raises(DataError):
        quick(server.url, tmp_path / "data.bin", attempts=0)
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert quick(server.url, tmp_path / "data.bin").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("new", [CONTENT[::-1] + b"longer", CONTENT[:1000]])
def test_a_changed_size_shows_a_new_version_where_there_is_no_etag(
    server: Server, tmp_path: Path, new: bytes
) -> None:
    server.etag, server.cuts = None, [300_000]
    with pytest.raises(DataError):
        quick(server.url, tmp_path / "data.bin", attempts=0)
    server.content = new
    assert quick(server.url, tmp_path / "data.bin").read_bytes() == new


def test_pieces_that_fail_the_checksum_are_thrown_away_once(server: Server, tmp_path: Path) -> None:
    server.etag, server.cuts = None, [300_000]
    with pytest.raises(DataError):
        quick(server.url, tmp_path / "data.bin", attempts=0)
    server.content = CONTENT[::-1]  # another version of the same size
    wanted = hashlib.md5(server.content).hexdigest()
    path = quick(server.url, tmp_path / "data.bin", md5=wanted)
    assert path.read_bytes() == CONTENT[::-1]
    assert server.ranges_asked == [None, "bytes=300000-", None]


def test_passing_errors_of_the_server_are_waited_out(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    assert quick(server.url, tmp_path / "data.bin", md5=MD5).read_bytes() == CONTENT


def test_the_wait_doubles_after_each_failure(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("itemlm.data.download.time.sleep", waits.append)
    server.statuses = [503, 503, 503]
    fetch(server.url, tmp_path / "data.bin", md5=MD5, progress=False, wait=0.5)
    assert waits == [0.5, 1.0, 2.0]


# --- When it cannot go well -----------------------------------------------------------------


def test_a_missing_file_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(DataError) as raised:
        quick(server.url, tmp_path / "data.bin", by_hand="put it into the drawer")
    message = str(raised.value)
    assert server.url in message
    assert str(tmp_path / "data.bin") in message
    assert "404 Not Found" in message
    assert message.endswith("or put it into the drawer.")
    assert len(server.ranges_asked) == 1


def test_a_server_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be reached.*fetch it by other means and save it"):
        quick("http://127.0.0.1:9/data.bin", tmp_path / "data.bin", attempts=2)


def test_an_address_that_is_none_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the address cannot be read"):
        quick("drawer/data.bin", tmp_path / "data.bin")


def test_a_place_that_cannot_be_written_gets_a_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="this machine could not write it"):
        quick(server.url, tmp_path / "file" / "data.bin")


def test_wrong_content_is_refused_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.content = b"<html>Please log in</html>"
    with pytest.raises(DataError, match=f"its md5 is .* instead of {MD5}, as published"):
        quick(server.url, tmp_path / "data.bin", md5=MD5)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("name", ["data.gz", "data.zip"])
def test_without_a_checksum_an_archive_must_at_least_be_one(
    server: Server, tmp_path: Path, name: str
) -> None:
    server.content = b"<html>Please log in</html>"
    with pytest.raises(DataError, match=r"not a whole \.(gz|zip) file"):
        quick(server.url, tmp_path / name)
    assert names(tmp_path) == set()


def test_an_archive_that_is_cut_is_noticed_even_if_the_server_does_not_tell_its_size(
    server: Server, tmp_path: Path
) -> None:
    whole = gzip.compress(b"line\n" * 1000)
    server.content, server.tells_size, server.etag = whole[:-5], False, None
    with pytest.raises(DataError, match=r"not a whole \.gz file"):
        quick(server.url, tmp_path / "data.gz")


# --- Checksums that nobody published --------------------------------------------------------


def test_the_first_download_is_recorded_and_later_ones_must_match(
    server: Server, tmp_path: Path
) -> None:
    path = quick(server.url, tmp_path / "data.bin")
    record = tmp_path / "data.bin.sha256"
    assert record.read_text() == f"{SHA256}  data.bin\n"

    path.unlink()
    server.content = b"something else"
    with pytest.raises(DataError, match=r"as recorded in .*data\.bin\.sha256 when it first came"):
        quick(server.url, path)

    path.write_bytes(b"changed on disk")
    with pytest.raises(DataError, match=r"is damaged.*Delete it to download it again"):
        quick(server.url, path)


def test_a_file_placed_by_hand_is_taken_and_recorded(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    quick(server.url, tmp_path / "data.bin")
    assert server.ranges_asked == []
    assert SHA256 in (tmp_path / "data.bin.sha256").read_text()


# --- Archives -------------------------------------------------------------------------------


def zipped(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_one_top_folder_is_left_out(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"ml/": "", "ml/u.data": "1", "ml/doc/note": "2"})
    folder = unpack(archive, tmp_path / "a")
    assert (folder / "u.data").read_text() == "1"
    assert (folder / "doc" / "note").read_text() == "2"


def test_several_top_entries_stay_as_they_are(tmp_path: Path) -> None:
    folder = unpack(zipped(tmp_path / "a.zip", {"x": "1", "ml/y": "2"}), tmp_path / "a")
    assert (folder / "x").read_text() == "1"
    assert (folder / "ml" / "y").read_text() == "2"


@pytest.mark.parametrize("name", ["../evil", "ml/../../evil", "/evil", "ml\\..\\evil", "C:/evil"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", {"ml/good": "1", name: "2"})
    with pytest.raises(DataError, match="outside its folder"):
        unpack(archive, tmp_path / "inner" / "a")
    assert not list(tmp_path.rglob("*evil*"))
    assert not (tmp_path / "inner" / "a").exists()


def test_a_damaged_archive_leaves_nothing_half_unpacked(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"ml/one": "1" * 1000, "ml/two": "2" * 1000})
    archive.write_bytes(archive.read_bytes().replace(b"2" * 1000, b"3" * 1000))
    with pytest.raises(DataError, match="not a whole zip archive"):
        unpack(archive, tmp_path / "a")
    assert not (tmp_path / "a").exists()
