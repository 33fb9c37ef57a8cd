"""What a store in a SQLite file does besides: files, kills, and bytes that must be gone."""

import random
import signal
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from itemlm.serve.store import (
    EventRow,
    Recommendation,
    Shadow,
    StoreUnavailable,
    migrations,
    open_store,
)
from itemlm.types import ArtifactError, ConfigError, MissingExtra

WRITER = """
import sys
from itemlm.serve.store import EventRow, open_store
store = open_store(sys.argv[1])
for batch in range(10**6):
    ids = [f"{sys.argv[2]}-{batch}-{place}" for place in range(5)]
    store.add_events([EventRow(name, "ann", None, name, "view", batch) for name in ids])
    print(*ids, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    file = tmp_path / "store.db"
    acknowledged = []
    for life in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, file, str(life)], stdout=subprocess.PIPE, text=True
        ) as writer:
            for _ in range(20 + 10 * life):
                acknowledged += writer.stdout.readline().split()
            writer.send_signal(signal.SIGKILL)
            # What it still said before it died counts too; the last line may be cut.
            rest = writer.stdout.read().splitlines(keepends=True)
            acknowledged += [name for line in rest if line.endswith("\n") for name in line.split()]
    store = open_store(file)
    kept = store.histories(["ann"], 10**6)["ann"]
    assert len(acknowledged) >= 5 * (20 + 30 + 40)
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept)) == store.counts().events
    assert len(kept) % 5 == 0  # all of a batch, or none
    store.close()


def test_nothing_of_a_forgotten_person_stays_in_the_file(tmp_path, monkeypatch):
    file = tmp_path / "store.db"
    store = open_store(file)
    ids = [f"person-{number}".ljust(300, "x") for number in range(400)]
    rows = [
        EventRow(f"e{user[:10]}-{place}", user, None, f"item-{place}", "view", place)
        for place in range(6)
        for user in ids
    ]
    chance = random.Random(4)
    chance.shuffle(rows)
    for start in range(0, len(rows), 50):
        store.add_events(rows[start : start + 50])
    store.log_recommendations(
        [
            Recommendation(
                f"r{place}", 0, user, None, "m", "model", None, None, None, user, [user], []
            )
            for place, user in enumerate(ids)
        ]
    )
    *many, last = forgotten = chance.sample(ids, 160)
    # The file is written anew for the last one only: that takes the others' stale copies along,
    # which SQLite leaves when rows move between pages.
    with monkeypatch.context() as patched:
        patched.setattr(store.database, "scrub", lambda: None)
        for user in many:
            store.forget(user)
    assert last.encode() in file.read_bytes() + _log(file)
    store.forget(last)
    stored = file.read_bytes() + _log(file)
    assert [user for user in forgotten if user.encode() in stored] == []
    assert all(user.encode() in stored for user in set(ids) - set(forgotten))
    assert store.is_forgotten(ids) == set(forgotten)
    store.close()


def _log(file):
    return file.with_name(file.name + "-wal").read_bytes()


def test_a_reader_elsewhere_that_keeps_deleted_rows_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("itemlm.serve.store.sqlite.WAIT_SECONDS", 0.05)
    store = open_store(tmp_path / "store.db")
    store.add_events([EventRow("e", "ann", None, "heat", "view", 0)])
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
    with pytest.raises(StoreUnavailable, match="another program reads"):
        store.forget("ann")
    assert store.histories(["ann"], 5) == {}
    other.close()
    assert store.forget("ann").events == 0
    store.close()


def test_a_store_of_version_1_is_brought_up_and_keeps_its_rows(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        old = open_store(tmp_path / "store.db")
        old.add_events([EventRow("e", "ann", None, "heat", "view", 0)])
        assert "shadows" not in old.database.tables()
        old.close()
    new = open_store(tmp_path / "store.db")
    assert new.histories(["ann"], 5) == {"ann": ["heat"]}
    new.log_shadow([Shadow("r", "tiger", ["heat"], 1.0)])
    assert new.database.rows("SELECT version FROM migrations ORDER BY version") == [(1,), (2,)]
    new.close()


def test_a_migration_that_fails_leaves_the_version_before(tmp_path, monkeypatch):
    open_store(tmp_path / "store.db").close()
    broken = ("CREATE TABLE half (number {number})", "CREATE TABLE events (number {number})")
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, broken))
        with pytest.raises(StoreUnavailable, match="already exists"):
            open_store(tmp_path / "store.db")
    store = open_store(tmp_path / "store.db")
    assert "half" not in store.database.tables()
    store.close()


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    open_store(tmp_path / "store.db").close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("INSERT INTO migrations VALUES (99, 0)")
    with pytest.raises(ArtifactError, match=r"version 99.*up to 2"):
        open_store(tmp_path / "store.db")


def test_several_may_open_a_new_store_at_once(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(open_store, [tmp_path / "store.db"] * 8))
    for number, store in enumerate(stores):
        store.add_events([EventRow(f"e{number}", "ann", None, f"i{number}", "view", number)])
    assert len(stores[0].histories(["ann"], 99)["ann"]) == 8
    # They agree on the salt of hashes.
    stores[0].forget("ann")
    assert all(store.is_forgotten(["ann"]) == {"ann"} for store in stores)
    for store in stores:
        store.close()


@pytest.mark.parametrize("kind", ["user", "session"])
def test_histories_are_read_from_their_index_alone(tmp_path, monkeypatch, kind):
    # Reading the table as well takes three to six times as long, on the path of every request.
    store = open_store(tmp_path / "store.db")
    asked = []
    read = store.database.rows
    monkeypatch.setattr(store.database, "rows", lambda *question: asked.append(question) or [])
    (store.histories if kind == "user" else store.session_histories)(["ann"], 5)
    [(sql, values)] = asked
    plan = str(read(f"EXPLAIN QUERY PLAN {sql}", values))
    assert f"USING COVERING INDEX histories_by_{kind}" in plan
    store.close()


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address in ("plain.db", "sqlite:///relative.db", f"sqlite:///{tmp_path}/deep/absolute.db"):
        open_store(address).close()
    assert (tmp_path / "plain.db").exists()
    assert (tmp_path / "relative.db").exists()
    assert (tmp_path / "deep" / "absolute.db").exists()
    for address in ("mysql://secret@host/db", "", ":memory:", "sqlite://"):
        with pytest.raises(ConfigError, match="Give the path") as told:
            open_store(address)
        assert "secret" not in str(told.value)


def test_only_the_owner_may_read_the_file(tmp_path):
    open_store(tmp_path / "store.db").close()
    assert stat.S_IMODE((tmp_path / "store.db").stat().st_mode) == 0o600


def test_files_that_are_no_store_are_told_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be looked at " * 50)
    with pytest.raises(ArtifactError, match="is not a SQLite database"):
        open_store(text)
    assert text.read_text().startswith("not a database")

    foreign = tmp_path / "shop.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE orders (id)")
    with pytest.raises(ArtifactError, match=r"other tables \(orders\)"):
        open_store(foreign)

    torn = tmp_path / "torn.db"
    open_store(torn).close()
    torn.write_bytes(torn.read_bytes()[:9000])
    with pytest.raises(ArtifactError, match="or it is damaged"):
        open_store(torn)

    with pytest.raises(ArtifactError, match="is a folder"):
        open_store(tmp_path)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        open_store(text / "below-a-file.db")


def test_a_file_that_another_program_locks_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("itemlm.serve.store.sqlite.WAIT_SECONDS", 0.05)
    store = open_store(tmp_path / "store.db")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.add_events([EventRow("e", "ann", None, "heat", "view", 0)])
    other.execute("ROLLBACK")
    assert store.add_events([EventRow("e", "ann", None, "heat", "view", 0)]) == [True]
    other.close()
    store.close()


def test_without_psycopg_the_line_to_run_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"PostgreSQL storage.*itemlm\[postgres\]"):
        open_store("postgresql://nobody@nowhere/db")
