"""Stores to test: a SQLite file each, and a PostgreSQL server where its programs are installed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from itemlm.serve.store import open_store


class PostgresServer:
    """A server of its own in a temporary folder, reached over a socket in it."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="itemlm-postgres-"))
        # The server refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        self.url = f"postgresql://tester@/postgres?host={self._folder}"
        self._run("initdb", "-D", "data", "-U", "tester", "-A", "trust", "-E", "UTF8", "-N")
        self.start()

    def start(self):
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        self._run("pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", options)

    def crash(self):
        self._run("pg_ctl", "stop", "-w", "-D", "data", "-m", "immediate")

    def remove(self):
        self.crash()
        shutil.rmtree(self._folder)

    def _run(self, program, *arguments):
        subprocess.run(
            [self._programs / program, *arguments],
            cwd=self._folder,
            user=self._user,
            check=True,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture(scope="session")
def postgres_server():
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    on_path = shutil.which("pg_ctl")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not on_path and not found:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    server = PostgresServer(Path(on_path or found[-1]).parent)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server):
    """A database without our tables."""
    import psycopg

    with psycopg.connect(postgres_server.url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS itemlm CASCADE")
    return postgres_server.url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def url(request, tmp_path):
    """The address of a store that does not exist yet."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return str(tmp_path / "store.db")


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()
