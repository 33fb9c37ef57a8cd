"""Origins: web pages of other sites get nothing from a service without keys."""

import pytest
from http_app import bearer, client, ring_of
from test_http_errors import problem

from itemlm.serve.http.settings import HttpSettings

SHOP = "https://shop.example.com"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("recs.internal:80", True),
        ("evil.example.com", False),  # a name that suddenly means 127.0.0.1
        ("localhost.evil.example.com", False),
        ("0.0.0.0:8000", False),
        ("", False),
        ("[::1", True),
        ("[evil]:8000", False),
    ],
)
def test_only_known_host_names_are_answered(host, allowed):
    web = client(HttpSettings(allowed_hosts=("Recs.internal",)))
    answer = web.post("/v1/recommend", json={}, headers={"Host": host})
    assert answer.status_code == (200 if allowed else 403)
    if not allowed:
        assert problem(answer).code == "foreign_origin"
    assert web.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_service_that_was_opened_is_also_called_by_addresses():
    web = client(HttpSettings(host="0.0.0.0", open=True))
    assert web.get("/v1/users/a", headers={"Host": "192.168.1.7:8000"}).status_code == 200
    assert web.get("/v1/users/a", headers={"Host": "evil.example.com"}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),  # no browser
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),  # typed into the address bar
        ({"Origin": "http://localhost"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),  # another port of this machine
        ({"Origin": "http://evil.example.com"}, False),
        ({"Origin": "http://localhost.evil.example.com"}, False),
        ({"Origin": "http://localhost:3000"}, False),
        ({"Origin": "null"}, False),  # a file, or a frame in a sandbox
        ({"Origin": SHOP}, True),  # allowed by a setting
        ({"Sec-Fetch-Site": "cross-site", "Origin": SHOP}, True),
    ],
)
def test_requests_of_foreign_pages_are_refused(headers, allowed):
    web = client(HttpSettings(cors_origins=(SHOP,)))
    answers = [web.post("/v1/recommend", json={}, headers=headers), web.get("/", headers=headers)]
    assert [answer.status_code for answer in answers] == [200 if allowed else 403] * 2
    if not allowed:
        assert {problem(answer).code for answer in answers} == {"foreign_origin"}


def test_a_link_may_lead_to_the_page_but_not_into_a_frame():
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    web = client()
    assert web.get("/", headers={**link, "Sec-Fetch-Dest": "document"}).status_code == 200
    assert web.get("/", headers={**link, "Sec-Fetch-Dest": "iframe"}).status_code == 403
    posted = web.post("/login", headers={**link, "Sec-Fetch-Dest": "document"})
    assert posted.status_code == 403


def test_with_keys_a_proxy_may_pass_on_foreign_origins_and_hosts():
    web = client(ring=ring_of(reader="read"))
    headers = {**bearer("reader"), "Origin": "https://shop.example.com", "Host": "recs.internal"}
    assert web.post("/v1/recommend", json={}, headers=headers).status_code == 200


# --- CORS -----------------------------------------------------------------------------------------


def test_no_page_may_read_answers_by_default():
    web = client(ring=ring_of(reader="read"))
    headers = {**bearer("reader"), "Origin": SHOP}
    answer = web.post("/v1/recommend", json={}, headers=headers)
    assert "access-control-allow-origin" not in answer.headers
    assert web.options("/v1/recommend", headers={"Origin": SHOP, **ASKS}).status_code == 401


def test_an_allowed_page_may_ask_and_read_errors_too():
    settings = HttpSettings(cors_origins=(SHOP,))
    web = client(settings, ring_of(reader="read"))
    asked = web.options("/v1/recommend", headers={"Origin": SHOP, **ASKS})
    assert asked.status_code == 200  # without a key: browsers send none here
    assert asked.headers["access-control-allow-origin"] == SHOP
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    refused = web.post("/v1/recommend", json={}, headers={"Origin": SHOP})
    assert problem(refused).code == "no_key"
    assert refused.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in refused.headers  # no cookies across sites


def test_other_pages_are_refused_in_the_usual_shape():
    web = client(HttpSettings(cors_origins=(SHOP,)), ring_of(reader="read"))
    asked = web.options("/v1/recommend", headers={"Origin": "http://evil.example.com", **ASKS})
    assert problem(asked).code == "foreign_origin"
    assert "access-control-allow-origin" not in asked.headers
