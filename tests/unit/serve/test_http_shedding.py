"""Shedding: a full house is told at the door, in the shape of every other error."""

import asyncio
import json
import time

import pytest

pytest.importorskip("fastapi")

from prometheus_client import CollectorRegistry, Counter

from itemlm.serve.http.shedding import Lateness, Shedding


def asked(path, waiting):
    """What is sent for a request, and how many refusals were counted."""
    registry = CollectorRegistry()
    rejected = Counter("rejected", "Refusals.", ["code"], registry=registry)
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": []}
    asyncio.run(Shedding(app, lambda: waiting, rejected)(scope, None, send))
    return sent, registry.get_sample_value("rejected_total", {"code": "overloaded"})


def test_with_room_everybody_comes_in():
    sent, refused = asked("/v1/recommend", waiting=0.0)
    assert (sent[0]["status"], refused) == (200, 0)


def test_without_room_the_answer_is_a_problem_and_a_time_to_come_back():
    (start, body), refused = asked("/v1/recommend", waiting=1.2)
    headers = dict(start["headers"])
    problem = json.loads(body["body"])["error"]
    assert start["status"] == 429
    assert headers[b"retry-after"] == b"2"  # whole seconds, and not too early
    assert int(headers[b"content-length"]) == len(body["body"])
    assert (problem["code"], problem["request_id"]) == (
        "overloaded",
        headers[b"x-request-id"].decode(),
    )
    assert refused == 1


def test_two_refusals_have_two_names():
    names = {json.loads(asked("/v1/rank", 1.0)[0][1]["body"])["error"]["request_id"] for _ in "ab"}
    assert len(names) == 2


@pytest.mark.parametrize("path", ["/healthz", "/v1/events", "/", "/v1/recommend/x"])
def test_what_the_model_does_not_answer_is_let_in(path):
    assert asked(path, waiting=9.0)[0][0]["status"] == 200


def test_lateness_is_what_the_loop_spent_on_something_else():
    async def busy():
        lateness = Lateness()
        task = asyncio.create_task(lateness.watch())
        await asyncio.sleep(0)
        time.sleep(0.2)  # nothing else can run meanwhile
        await asyncio.sleep(0.01)
        seen = lateness.seconds
        task.cancel()
        return seen

    assert 0.1 < asyncio.run(busy()) < 2
