"""Keys: who may do what, how a key is given, and what happens when keys change."""

import asyncio
import re

import pytest
from http_app import Key, bearer, client, ring_of
from test_http_errors import problem
from test_http_limits import Clock

from itemlm.serve.http.keys import KeyRing, check_exposure, hash_key, new_key
from itemlm.serve.http.scopes import is_page, required_scope
from itemlm.serve.http.settings import HttpSettings, is_loopback
from itemlm.types import ConfigError

KEYS = {"reader": "read", "writer": "write", "admin": "admin"}
EVENT = {"events": [{"item_id": 1}]}
HTML = {"Accept": "text/html,*/*"}


def test_new_keys_are_long_random_and_recognizable():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"ilm_[A-Za-z0-9_-]{32}", key) for key in keys)


def test_the_hash_is_sha256():
    # The first test vector of FIPS 180.
    assert hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# What each request needs, and which of the keys (read, write, admin, in this order) may do it.
MATRIX = [
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/metrics", "read"),
    ("GET", "/static/page.css", None),
    ("GET", "/login", None),
    ("POST", "/login", None),
    ("POST", "/logout", None),
    ("GET", "/", "read"),
    ("GET", "/items/a/b", "read"),
    ("POST", "/models/activate", "admin"),
    ("POST", "/v1/recommend", "read"),
    ("POST", "/v1/similar", "read"),
    ("POST", "/v1/search", "read"),
    ("POST", "/v1/rank", "read"),
    ("GET", "/v1/items", "read"),
    ("GET", "/v1/items/heat", "read"),
    ("PUT", "/v1/items", "write"),
    ("POST", "/v1/items", "write"),
    ("DELETE", "/v1/items/heat", "write"),
    ("POST", "/v1/events", "write"),
    ("GET", "/v1/events", "admin"),
    ("GET", "/v1/models", "read"),
    ("POST", "/v1/models/a/activate", "admin"),
    ("GET", "/v1/users/ann", "admin"),
    ("DELETE", "/v1/users/ann", "admin"),
    ("GET", "/visit", "admin"),  # the page, with the history of a person
    ("POST", "/v1/something/new", "admin"),
    ("BREW", "/v1/recommend", "admin"),
    ("POST", "/v1/recommendations", "admin"),  # not below /v1/recommend
    ("GET", "/healthz-and-more", "read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), MATRIX)
def test_the_table_of_scopes(method, path, scope):
    assert required_scope(method, path) == scope


@pytest.mark.parametrize(("method", "path", "scope"), MATRIX)
def test_a_key_may_do_what_its_scope_and_the_scopes_below_allow(method, path, scope):
    web = client(ring=ring_of(**KEYS))
    rank = [None, "read", "write", "admin"].index(scope)
    for held, key in enumerate(KEYS, start=1):
        answer = web.request(method, path, headers=bearer(key))
        if held < rank:
            assert problem(answer).code == "missing_scope"
            assert f"'{scope}'" in problem(answer).message
        else:
            assert answer.status_code not in (401, 403)


def test_no_key_and_a_wrong_key_are_told_apart():
    web = client(ring=ring_of(**KEYS))
    for headers, code in (
        ({}, "no_key"),
        ({"Authorization": "Basic cmVhZGVy"}, "no_key"),
        ({"Authorization": "Bearer "}, "no_key"),
        (bearer("Reader"), "unknown_key"),
        (bearer(hash_key("reader")), "unknown_key"),  # the hash itself opens nothing
        ({"X-API-Key": b"\xff\xfe" * 5000}, "unknown_key"),
    ):
        answer = web.get("/v1/models", headers=headers)
        assert (answer.status_code, problem(answer).code) == (401, code)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [bearer("admin"), {"authorization": "bearer   admin"}, {"X-API-Key": "admin"}],
)
def test_a_key_is_taken_from_either_header(headers):
    web = client(ring=ring_of(**KEYS))
    assert web.get("/v1/users/ann", headers=headers).status_code == 200


# --- The cookie of the page -----------------------------------------------------------------------


def browser(**kwargs):
    """Somebody who signed in on the page, with an admin's key."""
    return client(ring=ring_of(**KEYS), cookies={"itemlm_key": "admin"}, **kwargs)


def test_the_cookie_opens_the_page_and_nothing_else():
    assert browser().get("/").status_code == 200
    assert problem(browser().get("/v1/users/ann")).code == "no_key"
    assert problem(browser().post("/v1/events", json=EVENT)).code == "no_key"
    assert problem(browser().get("/metrics")).code == "no_key"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://localhost"}, 200),  # behind a proxy that speaks HTTPS
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://public.example.com"}, 200),
        ({}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),  # another port of this machine
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "http://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_form_of_the_page_must_come_from_the_page(headers, status):
    answer = browser().post("/models/activate", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert problem(answer).code == "foreign_origin"


def test_no_other_site_can_sign_somebody_in():
    web = client(ring=ring_of(**KEYS))
    assert web.post("/login").status_code == 200
    assert web.post("/login", headers={"Origin": "http://evil.example.com"}).status_code == 403


def test_a_browser_without_a_key_is_led_to_the_form_and_back():
    web = client(ring=ring_of(**KEYS), follow_redirects=False)
    answer = web.get("/items?h=heat&k=5", headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fitems%3Fh%3Dheat%26k%3D5"
    assert web.get("/v1/models", headers=HTML).status_code == 401
    assert web.get("/items").status_code == 401


def test_which_paths_are_pages():
    pages = ["/", "/items/heat", "/models", "/login", "/docs", "/v1x"]
    others = ["/v1", "/v1/models", "/metrics", "/healthz", "/readyz"]
    assert all(map(is_page, pages))
    assert not any(map(is_page, others))


# --- Without keys ---------------------------------------------------------------------------------


def test_without_keys_this_machine_may_do_everything():
    web = client()
    assert web.get("/v1/users/ann").status_code == 200
    assert web.post("/v1/events", json=EVENT).status_code == 200


def test_without_keys_a_service_for_others_answers_nobody_unless_opened():
    closed = client(HttpSettings(host="0.0.0.0"))
    assert problem(closed.get("/v1/users/ann")).code == "no_key"
    assert closed.get("/healthz").status_code == 200
    opened = client(HttpSettings(host="0.0.0.0", open=True))
    assert opened.get("/v1/users/ann").status_code == 200


def test_a_start_without_keys_is_refused_where_others_can_reach_it():
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        assert is_loopback(host)
        check_exposure(host, ring_is_empty=True, open=False)
    check_exposure("0.0.0.0", ring_is_empty=False, open=False)
    check_exposure("0.0.0.0", ring_is_empty=True, open=True)
    for host in ("0.0.0.0", "::", "", "192.168.1.7", "recs.example.com"):
        assert not is_loopback(host)
        with pytest.raises(ConfigError, match=r"without any API key.*--host 127\.0\.0\.1.*--open"):
            check_exposure(host, ring_is_empty=True, open=False)


# --- The ring -------------------------------------------------------------------------------------


def test_a_revoked_key_is_unknown_and_does_not_open_the_door():
    ring = KeyRing(lambda: [Key("old", hash_key("old"), ("admin",), revoked_at=1)])
    assert ring.find("old") is None
    assert not ring.is_empty
    assert problem(client(ring=ring).get("/v1/models")).code == "no_key"
    assert problem(client(ring=ring).get("/v1/models", headers=bearer("old"))).code == "unknown_key"


class Store:
    """Keys that change, and readings that are counted."""

    def __init__(self, *names):
        self.names, self.readings, self.is_down = names, 0, False

    def keys(self):
        self.readings += 1
        if self.is_down:
            raise OSError("no storage")
        return [Key(name, hash_key(name), ("read",)) for name in self.names]


def test_the_ring_reads_again_after_a_while_and_not_before():
    async def run():
        store, clock = Store("a"), Clock()
        ring = KeyRing(store.keys, seconds=5, clock=clock)
        store.names = ("b",)
        clock.now += 4.9
        await ring.stay_fresh()
        assert store.readings == 1
        clock.now += 0.2  # a little old: read meanwhile, without waiting
        await ring.stay_fresh()
        await ring.stay_fresh()
        await ring._reading
        assert store.readings == 2
        assert (ring.find("a"), ring.find("b").name) == (None, "b")
        store.names = ("c",)
        clock.now += 10  # very old: all who ask wait for the one reading
        await asyncio.gather(*(ring.stay_fresh() for _ in range(10)))
        assert store.readings == 3
        assert ring.find("b") is None

    asyncio.run(run())


def test_the_last_known_keys_stay_when_the_store_is_down(caplog):
    async def run():
        store, clock = Store("a"), Clock()
        ring = KeyRing(store.keys, seconds=5, clock=clock)
        store.is_down = True
        for _ in range(3):
            clock.now += 10
            await ring.stay_fresh()
            await ring.stay_fresh()
        assert ring.find("a").name == "a"
        assert store.readings == 4  # once per interval, not once per request

    asyncio.run(run())
    assert "could not be read again" in caplog.text


def test_a_store_that_is_down_at_the_start_is_told():
    store = Store()
    store.is_down = True
    with pytest.raises(OSError, match="no storage"):
        KeyRing(store.keys)
