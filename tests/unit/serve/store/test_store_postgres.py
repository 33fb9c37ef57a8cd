"""What a store in PostgreSQL does besides: a server that is away, crashes, or is shared."""

import traceback

import pytest

from itemlm.serve.store import EventRow, StoreUnavailable, open_store
from itemlm.types import ConfigError

pytestmark = pytest.mark.slow


def test_what_was_acknowledged_survives_a_crash_of_the_server(postgres_server, postgres_url):
    store = open_store(postgres_url)
    assert store.add_events([EventRow("e", "ann", None, "heat", "view", 0)]) == [True]
    postgres_server.crash()
    with pytest.raises(StoreUnavailable, match="Look whether the server runs"):
        store.ping()
    postgres_server.start()
    # The same store goes on, with new connections.
    assert store.histories(["ann"], 5) == {"ann": ["heat"]}
    store.close()


def test_a_restart_between_two_questions_goes_unnoticed(postgres_server, postgres_url):
    store = open_store(postgres_url)
    store.ping()
    postgres_server.crash()
    postgres_server.start()
    store.ping()
    store.close()


def test_two_services_share_one_memory_beside_other_tables(postgres_url):
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (id bigint)")
    one, two = open_store(postgres_url), open_store(postgres_url)
    assert one.add_events([EventRow("e", "ann", None, "heat", "view", 0)]) == [True]
    assert two.add_events([EventRow("e", "ann", None, "heat", "view", 0)]) == [False]
    one.forget("ann")
    assert two.is_forgotten(["ann"]) == {"ann"}
    one.close()
    two.close()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:geheim@localhost:1/db",
        "postgresql://ann:geheim@localhost:port/db",
        "postgresql://ann:geheim@[::1/db",
    ],
)
def test_no_message_holds_the_password(address):
    pytest.importorskip("psycopg")
    with pytest.raises((StoreUnavailable, ConfigError), match="The store postgresql://") as told:
        open_store(address)
    assert "geheim" not in "".join(traceback.format_exception(told.value))


def test_a_user_without_rights_is_told(postgres_url):
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(StoreUnavailable, match="rights of the user"):
        open_store(postgres_url.replace("tester@", "guest@"))
