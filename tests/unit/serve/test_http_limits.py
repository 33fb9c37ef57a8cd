"""Bodies and rates: what is too large, too deep, too slow or too often is refused early."""

import asyncio
import json

import pytest
from http_app import bearer, client, ring_of
from hypothesis import given
from hypothesis import strategies as st
from test_http_errors import JSON, problem

from itemlm.serve.http import exchange
from itemlm.serve.http.errors import ApiError
from itemlm.serve.http.limits import BodyLimited, json_depth
from itemlm.serve.http.metrics import Metrics
from itemlm.serve.http.rate import Buckets
from itemlm.serve.http.settings import HttpSettings
from itemlm.types import ConfigError


@pytest.mark.parametrize(
    ("body", "depth"),
    [
        (b"", 0),
        (b"1", 0),
        (b"[]", 1),
        (b'{"a": [1, {"b": []}], "c": []}', 4),
        (b'["[[[["]', 1),
        (rb'["\"[[", [0]]', 2),  # an escaped quote does not end a string
        (rb'["\\", [0]]', 2),  # an escaped backslash does not escape the quote behind it
        (rb'["\\\"[[", 0]', 1),
    ],
)
def test_depth_by_hand(body, depth):
    assert json_depth(body) == depth


values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\[]{}é'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a"\\[{'), inner),
)


def depth_of(value):
    """The definition: one more than the deepest thing inside."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth_of, inner), default=0)
    return 0


@given(values, st.booleans())
def test_depth_is_that_of_the_parsed_value(value, ascii):
    assert json_depth(json.dumps(value, ensure_ascii=ascii).encode()) == depth_of(value)


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b'{"text": "\xff"}', 400, "bad_json", "not UTF-8: byte 10"),
        (b"[" * 100_000, 400, "bad_json", "more than 32 levels"),
        (b'{"text":' * 50_000 + b"1" + b"}" * 50_000, 400, "bad_json", "more than 32 levels"),
        (b'{"k": ' + b"9" * 5000 + b"}", 400, "bad_json", "a number is too long"),
        ('{"text": "a"}'.encode("utf-16"), 400, "bad_json", "not UTF-8"),
        (b'{"text": "' + b"x" * 10_000_000 + b'"}', 413, "too_large", "1,048,576 bytes"),
        (b'{"text": "nul \\u0000"}', 422, "bad_request", "'text' must match"),
        (b"\x00", 400, "bad_json", "Expecting value"),
        (b"{}" * 20, 400, "bad_json", "Extra data"),
    ],
)
def test_hostile_bodies(body, status, code, words):
    answer = client().post("/v1/recommend", content=body, headers=JSON)
    found = problem(answer)
    assert (answer.status_code, found.code) == (status, code)
    assert words in found.message


def test_many_brackets_side_by_side_are_no_depth():
    events = [{"item_id": n} for n in range(1000)]
    assert client().post("/v1/events", json={"events": events}).json() == {"accepted": 1000}


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(declared):
    def status(size):
        body = b'{"k": 1' + b" " * (size - 8) + b"}"
        content = body if declared else (body[at : at + 100] for at in range(0, size, 100))
        web = client(HttpSettings(body_bytes=1000))
        return web.post("/v1/recommend", content=content, headers=JSON).status_code

    assert (status(1000), status(1001)) == (200, 413)


def test_reading_stops_at_the_limit_of_an_endless_body():
    read = []

    def endless():
        while True:
            read.append(b" " * 1000)
            yield read[-1]

    answered = run_body_limited(endless(), HttpSettings(body_bytes=10_000))
    with pytest.raises(ApiError, match=r"larger than 10,000 bytes"):
        asyncio.run(answered)
    assert len(read) == 11


def run_body_limited(parts, settings, pause=0.0):
    """Feed parts of a body to the limit; the inner application returns what reaches it."""
    parts = iter(parts)
    got = []

    async def receive():
        await asyncio.sleep(pause)
        part = next(parts, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": part != b"."}

    async def inner(scope, receive, send):
        got.append(await receive())
        got.append(await receive())

    async def run():
        scope = {"type": "http", "method": "POST", "path": "/page", "headers": []}
        exchange.begin(scope)
        await BodyLimited(inner, settings)(scope, receive, None)
        return got

    return run()


def test_a_route_gets_the_body_in_one_piece_and_then_hears_of_a_disconnect():
    got = asyncio.run(run_body_limited([b"a", b"b", b"."], HttpSettings()))
    assert got == [
        {"type": "http.request", "body": b"ab.", "more_body": False},
        {"type": "http.disconnect"},
    ]


def test_a_caller_that_leaves_in_the_middle_reaches_no_route():
    assert asyncio.run(run_body_limited([b"a"], HttpSettings())) == []


def test_a_body_that_trickles_is_given_up():
    slow = run_body_limited([b"a", b"."], HttpSettings(body_seconds=0.01), pause=5)
    with pytest.raises(ApiError, match=r"did not arrive within 0\.01 seconds") as error:
        asyncio.run(slow)
    assert error.value.code == "slow_body"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Type": "Application/Vnd.Shop+JSON"}, 200),
        ({"Content-Type": "text/plain"}, 415),  # what a foreign page may send without asking
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "text/json"}, 415),
        ({}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
    ],
)
def test_only_plain_json_is_read(headers, status):
    answer = client().post("/v1/recommend", content=b'{"k": 1}', headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert problem(answer).code == "unsupported_media_type"


# --- Rates ----------------------------------------------------------------------------------------


class Clock:
    """Seconds that pass when told."""

    now = 100.0

    def __call__(self):
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate():
    clock = Clock()
    buckets = Buckets(per_second=2, burst=3, callers=10, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [2, 1, 0, -0.5]  # the next comes in 1/2 s
    clock.now += 0.25
    assert buckets.take("a") == pytest.approx(-0.25)
    clock.now += 0.25
    assert buckets.take("a") == pytest.approx(0)
    clock.now += 1000
    assert buckets.take("a") == 2  # never more than the burst
    assert buckets.take("b") == 2  # a caller of its own


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 3)), max_size=60))
def test_the_table_is_bounded_and_nobody_gets_more_than_burst_and_rate(steps):
    clock = Clock()
    few = Buckets(per_second=2, burst=3, callers=2, clock=clock)
    all_ = Buckets(per_second=2, burst=3, callers=6, clock=clock)
    allowed = dict.fromkeys("abcdef", 0)
    for caller, seconds in steps:
        clock.now += seconds
        few.take(caller)
        allowed[caller] += all_.take(caller) >= 0
        assert len(few) <= 2
    assert max(allowed.values()) <= 3 + 2 * (clock.now - Clock.now) + 1e-6


def test_the_caller_that_was_silent_for_longest_is_forgotten():
    buckets = Buckets(per_second=1, burst=5, callers=2, clock=Clock())
    for caller in "abac":
        buckets.take(caller)
    assert buckets.take("a") == 2  # still known: its third token of five
    assert buckets.take("b") == 4  # forgotten, so it starts anew


def test_each_key_has_its_own_rate_and_health_checks_have_none():
    metrics = Metrics()
    settings = HttpSettings(rate_per_second=0.001, rate_burst=2)
    web = client(settings, ring_of(reader="read", admin="admin"), metrics)

    def ask(key):
        return web.post("/v1/recommend", json={}, headers=bearer(key))

    assert [ask("reader").headers["ratelimit-remaining"] for _ in range(2)] == ["1", "0"]
    refused = ask("reader")
    assert refused.status_code == 429
    assert problem(refused).code == "rate_limited"
    assert 990 <= int(refused.headers["retry-after"]) <= 1000
    assert ask("admin").status_code == 200
    assert all(web.get("/healthz").status_code == 200 for _ in range(5))
    assert metrics.total(metrics.rejected) == 1


def test_without_keys_the_address_counts():
    settings = HttpSettings(rate_per_second=0.001, rate_burst=1)
    web = client(settings)
    assert [web.get("/v1/mistake").status_code for _ in range(2)] == [400, 429]
    unlimited = client(HttpSettings(rate_per_second=None, rate_burst=1))
    assert [unlimited.get("/v1/mistake").status_code for _ in range(2)] == [400, 400]


@pytest.mark.parametrize(
    "wrong",
    [
        {"body_bytes": 0},
        {"json_depth": -1},
        {"rate_per_second": 0},
        {"cors_origins": ("*",)},
        {"cors_origins": ("https://shop.example.com/",)},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError):
        HttpSettings(**wrong)
