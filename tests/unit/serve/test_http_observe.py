"""What every answer carries, what the log says of it, and what it must not say."""

import asyncio
import io
import json
import logging
from contextlib import asynccontextmanager

import pytest
from http_app import bearer, client, ring_of
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.websockets import WebSocketDisconnect

from itemlm.serve.http import exchange, log
from itemlm.serve.http.log import JsonLine
from itemlm.serve.http.metrics import REMEMBERED, Metrics


@pytest.fixture
def lines():
    """What is logged during a test, read as JSON."""
    stream = io.StringIO()
    loggers = [logging.getLogger(name) for name in ("itemlm", "uvicorn")]
    before = [(row.handlers, row.level, row.propagate) for row in loggers]
    log.configure(stream)
    (handler,) = loggers[0].handlers

    def written():
        handler.flush()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield written
    for logger, (logger.handlers, level, logger.propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)


# --- Request ids and headers ----------------------------------------------------------------------


def test_a_safe_request_id_is_kept():
    answer = client().get("/healthz", headers={"X-Request-ID": "Shop_1.2-c"})
    assert answer.headers["x-request-id"] == "Shop_1.2-c"


@pytest.mark.parametrize(
    "unsafe",
    [
        b"",
        b"a" * 65,
        b"a b",
        b"a\n",
        b"a\r\nSet-Cookie: x=1",
        b"<b>",
        b"\xc3\xa9",
        b'a"',
        b"a%0d%0a",
    ],
)
def test_any_other_request_id_is_made_anew(unsafe):
    scope = {"type": "http", "headers": [(b"x-request-id", unsafe)]}
    made = exchange.begin(scope).request_id
    assert len(made) == 16
    assert int(made, 16) >= 0
    assert exchange.begin(scope).request_id != made


def test_code_far_from_the_request_knows_its_id():
    seen = []
    web = client()
    web.app.get("/v1/seen")(lambda: seen.append(exchange.request_id.get()))
    web.get("/v1/seen", headers={"X-Request-ID": "r-7"})
    assert seen == ["r-7"]
    assert exchange.request_id.get() == exchange.NO_REQUEST


def test_every_answer_has_the_headers_of_caution():
    web = client()
    for path in ("/", "/healthz", "/v1/bug", "/nothing"):
        headers = web.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
    policy = web.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "content-security-policy" not in web.get("/healthz").headers


def test_what_a_route_sets_itself_stays():
    from starlette.responses import HTMLResponse

    own = {"Cache-Control": "max-age=60", "Content-Security-Policy": "default-src 'none'"}
    answer_of_route = HTMLResponse("", headers=own)
    web = client()
    web.app.add_route("/own", lambda request: answer_of_route)
    for _ in range(2):  # the same object twice: nothing is added to it
        headers = web.get("/own").headers.multi_items()
        assert [v for k, v in headers if k == "cache-control"] == ["max-age=60"]
        assert [v for k, v in headers if k == "content-security-policy"] == ["default-src 'none'"]
        assert sum(k == "x-request-id" for k, _ in headers) == 1


def test_there_are_no_websockets():
    with pytest.raises(WebSocketDisconnect), client().websocket_connect("/v1/recommend"):
        pass


def test_starting_and_stopping_reach_the_application():
    seen = []

    @asynccontextmanager
    async def lifespan(app):
        seen.append("start")
        yield
        seen.append("stop")

    with client(lifespan=lifespan) as web:
        assert seen == ["start"]
        assert web.get("/healthz").status_code == 200
    assert seen == ["start", "stop"]


# --- The access log -------------------------------------------------------------------------------


def test_a_line_says_what_happened(lines):
    web = client(ring=ring_of(shop="read"))
    web.post("/v1/recommend", json={}, headers={**bearer("shop"), "X-Request-ID": "r-1"})
    (line,) = lines()
    assert line.pop("ms") >= 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "method": "POST",
        "route": "/v1/recommend",
        "status": 200,
        "request_id": "r-1",
        "key": "shop",
    }


def test_lines_hold_no_ids_no_queries_no_bodies_and_no_keys(lines):
    web = client(ring=ring_of(k3y="admin"))
    headers = {**bearer("k3y-wrong"), "Cookie": "itemlm_key=c00kie", "Referer": "http://r3ferer"}
    web.get("/v1/users/p3rson?limit=qu3ry", headers=headers)
    headers |= bearer("k3y")
    web.get("/v1/users/p3rson?limit=qu3ry", headers=headers)
    web.get("/v1/users/p3rson?x=qu3ry", headers=headers)
    web.delete("/v1/users/p3rson", headers=headers)
    web.get("/p3rson/nothing", headers=headers)
    web.post("/v1/recommend", json={"user_id": "p3rson", "text": "b0dy"}, headers=headers)
    web.post("/v1/recommend", json={"user_id": ["p3rson"]}, headers=headers)
    rows = [(line["route"], line["status"]) for line in lines()]
    user = "/v1/users/{user_id:path}"
    assert rows == [
        ("unmatched", 401),
        (user, 422),
        (user, 200),
        (user, 405),
        ("unmatched", 404),
        ("/v1/recommend", 200),
        ("/v1/recommend", 422),
    ]
    text = json.dumps([{**line, "key": ""} for line in lines()])
    for secret in ("p3rson", "qu3ry", "b0dy", "k3y", "c00kie", "r3ferer"):
        assert secret not in text


def test_a_caller_that_leaves_is_logged_and_no_longer_in_flight(lines):
    async def gone():
        return {"type": "http.disconnect"}

    metrics = Metrics()
    scope = {"type": "http", "method": "POST", "path": "/v1/recommend", "root_path": ""}
    scope["headers"] = [(b"host", b"localhost")]
    asyncio.run(client(metrics=metrics).app(scope, gone, None))
    assert [line["status"] for line in lines()] == [499]
    assert metrics.registry.get_sample_value("itemlm_requests_in_flight") == 0


def test_an_unexpected_error_leaves_its_traceback_under_the_request_id(lines):
    client().get("/v1/bug", headers={"X-Request-ID": "r-2"})
    error, request = lines()
    assert error["request_id"] == request["request_id"] == "r-2"
    assert "ZeroDivisionError" in error["traceback"]
    assert request["status"] == 500


@given(st.text())
@example("\x7f\x1b\n\u2028")
def test_a_record_is_one_line_of_printable_ascii(text):
    record = logging.LogRecord("itemlm.x", logging.INFO, "", 0, "%s", (text,), None)
    line = JsonLine().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == text


# --- Metrics --------------------------------------------------------------------------------------


def samples(text):
    """Value of every sample, by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_not_by_path():
    web = client()
    for n in range(20):
        web.get(f"/v1/users/{n}")
        web.get(f"/nothing/{n}")
        web.request(f"BREW{n}", "/v1/bug")
    found = samples(web.get("/metrics").text)
    name = "itemlm_requests_total"
    assert {key: value for key, value in found.items() if key[0] == name} == {
        (name, "/v1/users/{user_id:path}", "200", "GET"): 20,
        (name, "404", "GET", "unmatched"): 20,
        (name, "/v1/bug", "405", "OTHER"): 20,
    }
    assert found["itemlm_requests_in_flight",] == 1  # the one that asks


def test_what_the_core_counts_is_told():
    metrics = Metrics()
    metrics.recommendations.labels("model", "tiger").inc(3)
    metrics.recommendations.labels("popularity", "tiger").inc()
    metrics.fallbacks.labels("timeout").inc()
    metrics.events_accepted.inc(5)
    metrics.events_duplicate.inc(2)
    metrics.items.labels("live").set(41)
    metrics.queue_length.set(7)
    metrics.batch_size.observe(3)
    metrics.model_is("v1", "tiger")
    metrics.model_is("v2", "sasrec")
    metrics.event_arrived()
    found = samples(metrics.scrape().body.decode())
    assert found["itemlm_recommendations_total", "model", "tiger"] == 3
    assert found["itemlm_fallbacks_total", "timeout"] == 1
    assert found["itemlm_events_accepted_total",] == 5
    assert found["itemlm_events_duplicate_total",] == 2
    assert found["itemlm_items", "live"] == 41
    assert found["itemlm_queue_length",] == 7
    assert found["itemlm_batch_size_bucket", "2.0"] == 0
    assert found["itemlm_batch_size_bucket", "4.0"] == 1
    assert found["itemlm_model_info", "sasrec", "v2"] == 1
    assert ("itemlm_model_info", "tiger", "v1") not in found  # one model is active
    assert 0 <= found["itemlm_seconds_since_last_event",] < 60
    assert metrics.total(metrics.recommendations) == 4
    assert metrics.total(metrics.recommendations, source="mod") == 3


def test_two_applications_count_apart():
    first, second = Metrics(), Metrics()
    first.events_accepted.inc()
    assert (first.total(first.events_accepted), second.total(second.events_accepted)) == (1, 0)


def test_recent_latencies_are_those_of_the_last_requests_to_the_api():
    metrics = Metrics()
    assert metrics.recent().p50_ms is None

    def answered(route, ms):
        metrics.begin_request()
        metrics.end_request(route, "GET", 200, ms / 1000)

    for ms in range(1, 101):
        answered("/v1/a", ms)
        answered("/healthz", 10_000)
    recent = metrics.recent()
    assert recent.requests == 100
    assert recent.p50_ms == pytest.approx(50.5)  # between the 50th and the 51st of 100
    assert recent.p99_ms == pytest.approx(99.01)
    for _ in range(REMEMBERED):
        answered("/v1/a", 7)
    assert metrics.recent().p99_ms == pytest.approx(7)
    assert metrics.recent().requests == REMEMBERED
