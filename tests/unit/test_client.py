"""The clients against the real application, in process, and against servers that misbehave."""

import asyncio
import inspect
import json
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

import itemlm
from itemlm.types import ConfigError, DataError, UnknownName

httpx = pytest.importorskip("httpx", reason="needs the extra 'client'")
pytest.importorskip("fastapi", reason="needs the extra 'serve'")

from itemlm.client import AsyncClient, Client, ServiceError, calls, transports
from itemlm.serve.app import create_app
from itemlm.serve.running import open_service
from itemlm.serve.schemas import RankRequest, RecommendRequest, SearchRequest, SimilarRequest

ADDRESS = "http://localhost"
GOODFELLAS, DIE_HARD = "goodfellas-1990", "die-hard-1988"


# --- The real application -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loop():
    """An event loop that runs in a thread of its own, as a server's does."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small world, and two saved models of it."""
    folder = tmp_path_factory.mktemp("models")
    dataset = itemlm.world(users=100, items=50).dataset
    model = itemlm.fit("itemknn", dataset)
    model.save(folder / "first")
    model.save(folder / "second")
    return dataset, [folder / "first", folder / "second"]


@pytest.fixture
def app(saved, tmp_path):
    dataset, folders = saved
    service = open_service(folders, home=tmp_path, dataset=dataset)
    yield create_app(service)
    service.stop()


class Bridge(httpx.BaseTransport):
    """Lets an ordinary client talk to an ASGI application on a loop."""

    def __init__(self, app, loop):
        self.asgi, self.loop = httpx.ASGITransport(app), loop

    def handle_request(self, request):
        return asyncio.run_coroutine_threadsafe(self._answered(request), self.loop).result()

    async def _answered(self, request):
        response = await self.asgi.handle_async_request(request)
        raw = httpx.ByteStream(b"".join([part async for part in response.stream]))
        return httpx.Response(response.status_code, headers=response.headers, stream=raw)


@pytest.fixture(params=["Client", "AsyncClient"])
def ask(request, app, loop):
    """Call a method of a client by name, whichever kind of client it is."""
    if request.param == "Client":
        with Client(ADDRESS, transport=Bridge(app, loop)) as client:

            def ask(name, *args, **kwargs):
                answer = getattr(client, name)(*args, **kwargs)
                return list(answer) if name == "items" else answer

            yield ask
        return
    client = AsyncClient(ADDRESS, transport=httpx.ASGITransport(app))

    async def answered(name, args, kwargs):
        answer = getattr(client, name)(*args, **kwargs)
        return [item async for item in answer] if name == "items" else await answer

    yield lambda name, *args, **kwargs: asyncio.run_coroutine_threadsafe(
        answered(name, args, kwargs), loop
    ).result()
    asyncio.run_coroutine_threadsafe(client.close(), loop).result()


def test_slates(ask):
    slate = ask("recommend", history=[GOODFELLAS], k=3, fields=["title"], explain=True)
    assert len(slate.items) == 3
    assert slate.source == "model"
    assert slate.items[0].fields.keys() == {"title"}
    same = ask("recommend", RecommendRequest(history=[GOODFELLAS], k=3))
    assert [item.item_id for item in same.items] == [item.item_id for item in slate.items]
    explained = ask("explain", slate.recommendation_id)
    assert [item.item_id for item in explained.items] == [item.item_id for item in slate.items]
    assert explained.history == [GOODFELLAS]

    alike = ask("similar", GOODFELLAS, k=2)
    assert alike.source == "text"
    assert len(alike.items) == 2
    assert ask("search", "goodfe", by="words").items[0].item_id == GOODFELLAS
    ids = [item.item_id for item in slate.items]
    assert [item.item_id for item in ask("rank", reversed(ids), history=[GOODFELLAS]).items] == ids


def test_only_what_was_set_is_sent():
    # A default that were sent, such as "boost": [], would take the scenario's boosts away.
    assert json.loads(calls.recommend(k=3, scenario="home").body) == {"k": 3, "scenario": "home"}
    (item,) = json.loads(calls.put_items([{"item_id": "a", "title": None}]).body)["items"]
    assert item == {"item_id": "a", "title": None}


def test_events_and_people(ask):
    person = "someone/with a slash?"
    given = [{"user_id": person, "item_id": GOODFELLAS, "event_id": "mine", "kind": "purchase"}]
    told = ask("add_events", [*given, {"user_id": person, "item_id": DIE_HARD}])
    assert told.accepted == 2
    assert told.event_ids[0] == "mine"
    again = ask("add_events", given)
    assert (again.accepted, again.duplicates) == (0, 1)

    kept = ask("user", person)
    assert {event.item_id for event in kept.events} == {GOODFELLAS, DIE_HARD}
    first = ask("user", person, limit=1)
    second = ask("user", person, limit=1, cursor=first.cursor)
    assert {*first.events, *second.events} == {*kept.events}
    assert sum(ask("popularity", GOODFELLAS).counts) > 0

    gone = ask("forget", person)
    assert gone.events == 2
    assert ask("user", person).events == []


def test_items(ask):
    before = {item.item_id for item in ask("items")}
    assert ask("put_items", [{"item_id": "../new", "title": "New", "year": 2030}]).added == 1
    assert ask("item", "../new").fields["title"] == "New"
    assert {item.item_id for item in ask("items")} == before | {"../new"}
    assert [item.item_id for item in ask("items", filter="year == 2030")] == ["../new"]
    assert ask("remove_item", "../new").removed
    assert not ask("remove_item", "../new").removed
    assert ask("item", "../new").removed


def test_models(ask):
    before = ask("models").active
    (other,) = {"first", "second"} - {before}
    assert ask("activate", other).active == other
    assert ask("rollback").active == before
    assert ask("health").model == before


def test_pages_make_one_iterator(ask, monkeypatch):
    whole = ask("items")
    assert len(whole) >= 50
    monkeypatch.setattr(transports, "PAGE", 7)
    assert ask("items") == whole


@pytest.mark.parametrize("item_id", ["no such item", "..", ".", "a/../b", "50%", "é/?#&"])
def test_an_error_has_code_status_and_request_id(ask, item_id):
    with pytest.raises(ServiceError, match=r"There is no item") as caught:
        ask("item", item_id)
    error = caught.value
    assert (error.code, error.status, error.field) == ("not_found", 404, "item_id")
    assert error.request_id
    assert repr(item_id) in str(error)


def test_a_filter_that_cannot_be_read(ask):
    with pytest.raises(ServiceError, match="Did you mean 'year'") as caught:
        ask("recommend", filter="yeer > 1990")
    assert caught.value.code == "bad_filter"


# --- Mistakes that need no service ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: calls.recommend(kk=3), UnknownName, "Did you mean 'k'"),
        (lambda: calls.recommend(k="three"), DataError, "k: .* received 'three'"),
        (lambda: calls.recommend(RecommendRequest(), k=3), DataError, r"not both \(k\)"),
        (lambda: calls.add_events([{"user_id": "a"}]), DataError, "item_id: Field required"),
        (lambda: calls.add_events([]), DataError, "at least 1"),
        (lambda: calls.put_items([{"item_id": {}}]), DataError, "ItemBody: item_id"),
        (lambda: calls.item(""), DataError, "an id is empty"),
        (lambda: Client("localhost:8000"), ConfigError, "no address"),
        (lambda: AsyncClient(retries=-1), ConfigError, "retries is -1"),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(call, error, words):
    with pytest.raises(error, match=words):
        call()


# --- Servers that misbehave -----------------------------------------------------------------------

PROBLEM = {"error": {"code": "overloaded", "message": "Too much waits.", "request_id": "r1"}}
STORED = {"accepted": 1, "duplicates": 0, "event_ids": ["e"]}
EVENT = {"event_id": "e", "item_id": "tea"}


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds

    async def sleep_async(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(transports, "time", SimpleNamespace(sleep=made.sleep))
    monkeypatch.setattr(transports, "asyncio", SimpleNamespace(sleep=made.sleep_async))
    return made


@pytest.fixture(params=["Client", "AsyncClient"])
def asked(request):
    """Ask a server, given as a function, and close the client."""

    def asked(server, name, *args, retries=3, api_key=None):
        options = {"retries": retries, "api_key": api_key, "transport": httpx.MockTransport(server)}
        if request.param == "Client":
            with Client("https://shop.example/reco", **options) as client:
                return getattr(client, name)(*args)

        async def awaited():
            async with AsyncClient("https://shop.example/reco", **options) as client:
                return await getattr(client, name)(*args)

        return asyncio.run(awaited())

    return asked


def busy_until(seconds, clock, status=429, **headers):
    """A server that turns requests away before a moment; it keeps when it was asked, and what."""
    times, bodies = [], []

    def server(request):
        times.append(clock.now)
        bodies.append(request.content)
        if clock.now < seconds:
            return httpx.Response(status, json=PROBLEM, headers=headers)
        return httpx.Response(200, json=STORED)

    server.times, server.bodies = times, bodies
    return server


@pytest.mark.parametrize("status", [429, 503])
def test_a_client_comes_back_when_it_was_told_to(asked, clock, status):
    server = busy_until(3, clock, status, **{"Retry-After": "3"})
    assert asked(server, "add_events", [EVENT]).accepted == 1
    first, second = server.times
    assert first == 0
    assert 3 <= second <= 3.25  # as told, and a random part of the first wait, 0.25 s


def test_without_a_word_waits_double(asked, clock):
    server = busy_until(float("inf"), clock)
    with pytest.raises(ServiceError, match="Too much waits") as caught:
        asked(server, "health")
    waits = [after - before for before, after in zip(server.times, server.times[1:], strict=False)]
    assert len(waits) == 3
    for wait, most in zip(waits, [0.25, 0.5, 1.0], strict=True):
        assert most / 2 <= wait <= most
    error = caught.value
    assert (error.code, error.status, error.request_id) == ("overloaded", 429, "r1")


def test_nobody_waits_for_an_hour(asked, clock):
    server = busy_until(3600, clock, **{"Retry-After": "3600"})
    with pytest.raises(ServiceError) as caught:
        asked(server, "health")
    assert server.times == [0]
    assert caught.value.retry_after == 3600


def test_a_repeated_event_is_the_same_event(asked, clock):
    server = busy_until(0.5, clock)
    asked(server, "add_events", [{"item_id": "tea"}])  # it gets its id before it is first sent
    assert len(server.bodies) > 1
    assert len(set(server.bodies)) == 1
    assert json.loads(server.bodies[0])["events"][0]["event_id"]


def test_a_rollback_is_never_repeated(asked, clock):
    server = busy_until(float("inf"), clock)
    with pytest.raises(ServiceError):
        asked(server, "rollback")
    assert server.times == [0]


def test_without_retries_there_is_one_try(asked, clock):
    server = busy_until(float("inf"), clock)
    with pytest.raises(ServiceError):
        asked(server, "health", retries=0)
    assert server.times == [0]


def test_what_got_lost_is_sent_again(asked, clock):
    tried = []

    def server(request):
        tried.append(request)
        if len(tried) < 3:
            raise httpx.ReadTimeout("too late")
        return httpx.Response(200, json=STORED)

    assert asked(server, "add_events", [EVENT]).accepted == 1
    assert len(tried) == 3


def test_a_service_that_is_not_there(asked, clock):
    def server(request):
        raise httpx.ConnectError("Connection refused")

    words = r"https://shop.example does not answer \(Connection refused\)"
    with pytest.raises(ServiceError, match=words) as caught:
        asked(server, "health")
    assert (caught.value.code, caught.value.status) == ("unreachable", None)


@pytest.mark.parametrize(
    ("status", "text"),
    [(502, "<h1>Bad gateway</h1>"), (200, '{"unheard": "of"}'), (307, "")],
    ids=["a proxy's page", "another service", "a redirect"],
)
def test_answers_that_are_none_of_ours(asked, status, text):
    headers = {"X-Request-ID": "r2", "Location": "https://elsewhere.example/"}
    with pytest.raises(ServiceError, match=f"status {status}") as caught:
        asked(lambda request: httpx.Response(status, text=text, headers=headers), "health")
    error = caught.value
    assert (error.code, error.status, error.request_id) == ("unreadable", status, "r2")


def test_address_and_key(asked):
    seen = []

    def server(request):
        seen.append(request)
        return httpx.Response(200, json=STORED)

    asked(server, "add_events", [EVENT], api_key="ilm_secret\n")  # as read from a file
    (request,) = seen
    assert str(request.url) == "https://shop.example/reco/v1/events"
    assert request.headers["Authorization"] == "Bearer ilm_secret"
    assert request.headers["Content-Type"] == "application/json"


# --- Both clients are one -------------------------------------------------------------------------


def methods(client):
    """Public methods and their signatures, without the types of the answers."""
    names = [name for name in dir(client) if not name.startswith("_") and name != "close"]
    return {name: inspect.signature(getattr(client, name)).parameters for name in names}


def test_both_clients_have_the_same_methods():
    with Client() as client:
        ours = methods(client)
        assert ours == methods(AsyncClient())
        assert {"recommend", "add_events", "items", "rollback"} <= ours.keys()
        assert inspect.signature(client.models).return_annotation.__name__ == "ModelsAnswer"
        assert client.models.__doc__ == calls.models.__doc__
    assert str(inspect.signature(Client)).replace("Base", "AsyncBase") == str(
        inspect.signature(AsyncClient)
    )


EVERY_CALL = {
    "recommend": calls.recommend(),
    "similar": calls.similar("x"),
    "search": calls.search("x"),
    "rank": calls.rank(["x"]),
    "explain": calls.explain("x"),
    "add_events": calls.add_events([EVENT]),
    "put_items": calls.put_items([{"item_id": "x"}]),
    "items": calls.item_page(1, None, None),
    "item": calls.item("x"),
    "popularity": calls.popularity("x"),
    "remove_item": calls.remove_item("x"),
    "user": calls.user("x"),
    "forget": calls.forget("x"),
    "models": calls.models(),
    "activate": calls.activate("x"),
    "rollback": calls.rollback(),
    "health": calls.health(),
}


def test_every_route_has_a_method(app):
    with Client() as client:
        assert methods(client).keys() == EVERY_CALL.keys()
    routes = {
        (verb.upper(), re.sub(r"{.*?}", "x", path)): route["responses"]["200"]["content"]
        for path, verbs in app.openapi()["paths"].items()
        for verb, route in verbs.items()
        if path.startswith("/v1/")
    }
    for call in EVERY_CALL.values():
        content = routes.pop((call.method, f"/{call.path}"))
        model = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert model == call.answer.__name__
    assert not routes


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (calls.similar, SimilarRequest),
        (calls.search, SearchRequest),
        (calls.rank, RankRequest),
        (calls.recommend, RecommendRequest),
    ],
)
def test_requests_take_every_field(call, kind):
    takes = inspect.signature(call).parameters
    assert any(given.kind is given.VAR_KEYWORD for given in takes.values())
    required = {name for name, field in kind.model_fields.items() if field.is_required()}
    assert required <= takes.keys()


def test_a_client_needs_little():
    code = (
        "import sys, itemlm.client\n"
        "heavy = {'torch', 'fastapi', 'starlette', 'polars', 'prometheus_client'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
