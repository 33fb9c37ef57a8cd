"""`itemlm serve` and `itemlm keys`: what they say."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from itemlm.serve.http.keys import hash_key
from itemlm.serve.store import open_store


def free_port():
    """One that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def served(monkeypatch):
    """What would be served, instead of serving it."""
    calls = []

    def run(service, **where):
        calls.append((service, where))
        service.stop()

    monkeypatch.setattr("itemlm.serve.running.run", run)
    return calls


def test_serve_says_who_answers_where(itemlm, fitted, data, served):
    port = free_port()
    said = itemlm("serve", fitted, "--data", data, "--port", port)
    assert f"itemknn answers for 80 items at http://localhost:{port}" in said.stdout
    ((service, where),) = served
    assert where == {"host": "127.0.0.1", "port": port, "open_to_all": False}
    assert len(service.dataset.users) == 60


def test_serve_reads_settings_and_says_what_is_wrong_with_them(itemlm, fitted, served, tmp_path):
    (tmp_path / "s.toml").write_text("[limits]\nmax_k = 7\n")
    itemlm("serve", fitted, "--settings", "s.toml", "--port", free_port())
    assert served[0][0].settings.limits.max_k == 7
    (tmp_path / "s.toml").write_text("[limits]\nmaxk = 7\n")
    said = itemlm("serve", fitted, "--settings", "s.toml", exit_code=1)
    assert "s.toml: limits.maxk: " in said.output
    said = itemlm("serve", fitted, "--settings", "none.toml", exit_code=1)
    assert "none.toml: No such file" in said.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere",), "nowhere is not a saved recommender"),
        (("nowhere", "--data", "nodata"), "nodata"),
    ],
)
def test_what_is_not_there_is_a_sentence(itemlm, served, arguments, sentence):
    said = itemlm("serve", *arguments, exit_code=1)
    assert sentence in said.output
    assert "bug in itemlm" not in said.output
    assert not served


def test_a_service_is_stopped_if_it_cannot_be_served(itemlm, fitted):
    said = itemlm("serve", fitted, "--host", "0.0.0.0", exit_code=1)
    assert "reachable at 0.0.0.0 without any API key" in " ".join(said.output.split())
    assert "answers for" not in said.output  # it does not answer anybody


def test_keys_are_made_listed_and_revoked(itemlm, tmp_path):
    made = itemlm("keys", "add", "shop", "--scope", "read", "--scope", "write")
    key = made.stdout.strip().splitlines()[-1]
    assert key.startswith("ilm_")
    itemlm("keys", "add", "ops", "--scope", "admin")
    store = open_store(tmp_path / "itemlm-service" / "service.db")
    (shop, _) = store.keys()
    store.close()
    assert (shop.name, shop.hash, shop.scopes) == ("shop", hash_key(key), ("read", "write"))
    listed = itemlm("keys", "list").stdout
    assert key not in listed
    assert "read, write" in listed
    itemlm("keys", "revoke", "shop")
    assert listed != itemlm("keys", "list").stdout
    said = itemlm("keys", "revoke", "shop", exit_code=1)
    assert "there is no valid key 'shop'" in said.output
    said = itemlm("keys", "add", "shop", exit_code=1)
    assert "shop" in said.output
    assert "bug" not in said.output


def test_keys_may_lie_elsewhere_and_scopes_are_known(itemlm, tmp_path):
    itemlm("keys", "add", "shop", "--store", tmp_path / "else.db")
    assert "shop" in itemlm("keys", "list", "--store", tmp_path / "else.db").stdout
    assert "shop" not in itemlm("keys", "list").stdout
    said = itemlm("keys", "add", "x", "--scope", "wirte", exit_code=1)
    assert "Did you mean 'write'?" in said.output


def test_help_of_the_service_is_light():
    """Nothing of the service is imported to say how it is called."""
    code = (
        "import sys; from itemlm.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('fastapi', 'polars', 'torch', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    for command in (["serve"], ["keys", "add"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip().splitlines()[-1] == "[]"
