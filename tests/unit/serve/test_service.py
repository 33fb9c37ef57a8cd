"""The service through its HTTP routes: what people ask for and get, on 60 films."""

import json
import time

import pytest
from starlette.testclient import TestClient

from itemlm.serve.app import create_app
from itemlm.serve.asking import group_of
from itemlm.serve.running import open_service
from itemlm.serve.settings import ServiceSettings

HISTORY = ["alien-1979", "star-wars-1977", "grease-1978"]
SETTINGS = {
    "limits": {"max_k": 70},
    "scenarios": {
        "home": {"k": 4, "filter": "year >= 1980", "max_per": {"director": 1}},
        "pinned": {"k": 3, "pin": [{"item_id": "alien-1979", "place": 2}]},
        "tried": {"k": 3},
    },
    "experiments": {
        "better": {
            "groups": {"control": "knn", "treatment": "popularity"},
            "shares": {"control": 0.75, "treatment": 0.25},
            "scenario": "tried",
        }
    },
}


@pytest.fixture
def serving(films, tmp_path):
    """Services with settings of their own, over a home that is empty at first."""
    clients = []

    def serve(settings=None, *, dataset=None, home="home", **more):
        service = open_service(
            list(films.folders.values()),
            home=tmp_path / home,
            dataset=dataset,
            settings=ServiceSettings.model_validate({**SETTINGS, **(settings or {})}),
            **more,
        )
        client = TestClient(create_app(service), base_url="http://localhost")
        clients.append(client)
        client.__enter__()
        client.service = service
        return client

    yield serve
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope="module")
def client(films, tmp_path_factory):
    """A service that is only asked."""
    service = open_service(
        list(films.folders.values()),
        home=tmp_path_factory.mktemp("home"),
        dataset=films.data,
        settings=ServiceSettings.model_validate(SETTINGS),
    )
    with TestClient(create_app(service), base_url="http://localhost") as client:
        client.service = service
        yield client


def asked(client, route="/v1/recommend", **body):
    """The answer to a question that is all right."""
    answer = client.post(route, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer):
    """The items of a slate."""
    return [item["item_id"] for item in answer["items"]]


def refused(answer, status, code):
    """The sentence of an error, which has its usual shape."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "field", "request_id"}
    assert (error["code"], error["request_id"]) == (code, answer.headers["X-Request-ID"])
    return error["message"]


# --- A slate --------------------------------------------------------------------------------------


def test_the_answer_is_the_librarys(client, films):
    answer = asked(client, history=HISTORY, k=7)
    slate = films.knn.recommend(HISTORY, k=7)
    assert ids(answer) == slate.items
    assert [item["score"] for item in answer["items"]] == pytest.approx(slate.scores)
    assert (answer["model"], answer["source"], answer["fallback"]) == ("knn", "model", None)
    assert answer["notes"] == []
    assert len(ids(asked(client, history=HISTORY))) == 10


def test_another_model_can_be_named(client, films):
    answer = asked(client, history=HISTORY, k=5, model="popularity")
    assert ids(answer) == films.popularity.recommend(HISTORY, k=5).items
    assert answer["model"] == "popularity"
    message = refused(client.post("/v1/recommend", json={"model": "none"}), 404, "not_found")
    assert "There are: knn, popularity." in message


def test_seen_items_can_be_asked_for(client, films):
    slate = films.knn.recommend(HISTORY, k=60, exclude_seen=False)
    answer = asked(client, history=HISTORY, k=60, exclude_seen=False)
    assert ids(answer) == slate.items
    assert not set(ids(asked(client, history=HISTORY, k=60))) & set(HISTORY)


def test_filters_and_lists(client, films):
    table = films.data.catalog
    recent = table.filter(table["year"] >= 2000)["item_id"].to_list()
    slate = films.knn.recommend(HISTORY, k=5, only=recent)
    assert ids(asked(client, history=HISTORY, k=5, filter="year >= 2000")) == slate.items
    assert ids(asked(client, history=HISTORY, k=5, only=recent)) == slate.items
    without = films.knn.recommend(HISTORY, k=5, without=slate.items).items
    assert ids(asked(client, history=HISTORY, k=5, exclude=slate.items)) == without
    none = asked(client, history=HISTORY, only=[])
    assert (ids(none), none["notes"]) == ([], ["fewer than 10 items may be shown."])
    message = refused(
        client.post("/v1/recommend", json={"filter": "yeer >= 2000"}), 400, "bad_filter"
    )
    assert "year" in message


def test_fields_of_items_come_along(client):
    answer = asked(client, only=["alien-1979"], fields=["title", "genres", "nowhere"])
    assert answer["items"][0]["fields"] == {
        "title": "Alien",
        "genres": ["horror", "science fiction"],
    }


def test_boosts_move_items_and_limits_hold(client):
    plain = asked(client, history=HISTORY, k=40, fields=["year", "director"])
    old = [item["item_id"] for item in plain["items"] if item["fields"]["year"] < 1980]
    boosted = ids(asked(client, history=HISTORY, k=40, boost=[{"when": "year < 1980", "by": 100}]))
    assert set(boosted[: len(old)]) == set(old)
    sunk = ids(asked(client, history=HISTORY, k=40, boost=[{"when": "year < 1980", "by": 0.01}]))
    assert not set(sunk[:5]) & set(old)
    one_each = asked(client, history=HISTORY, k=20, max_per={"director": 1}, fields=["director"])
    directors = [item["fields"]["director"] for item in one_each["items"]]
    assert len(directors) == len(set(directors)) == 20
    bad = client.post("/v1/recommend", json={"history": HISTORY, "max_per": {"directors": 1}})
    assert "items have no field 'directors'" in refused(bad, 400, "bad_request")


def test_pins_have_their_places_unless_they_are_left_out(client):
    pin = [{"item_id": "grease-1978", "place": 2}]
    answer = asked(client, history=HISTORY, k=3, pin=pin)
    assert [item["pinned"] for item in answer["items"]] == [False, True, False]
    assert ids(answer)[1] == "grease-1978"
    assert "grease-1978" not in ids(asked(client, k=3, pin=pin, exclude=["grease-1978"]))
    wrong = client.post("/v1/recommend", json={"pin": [{"item_id": "nowhere"}]})
    assert "there is no item 'nowhere'" in refused(wrong, 400, "bad_request")


def test_dials_shape_a_slate(client, films):
    plain = ids(asked(client, history=HISTORY, k=10))
    assert ids(asked(client, history=HISTORY, k=10, diversity=0.8)) != plain
    rare = ids(asked(client, history=HISTORY, k=10, novelty=1.0))
    counts = dict(zip(films.data.items.ids, films.data.item_counts.tolist(), strict=True))
    unseen = sorted(counts[item] for item in counts if item not in HISTORY)
    assert [counts[item] for item in rare] == unseen[:10]
    drawn = [asked(client, history=HISTORY, k=5, explore=0.9) for _ in range(6)]
    assert len({tuple(ids(answer)) for answer in drawn}) > 1
    assert all(0 < item["propensity"] <= 1 for answer in drawn for item in answer["items"])


# --- Pages ----------------------------------------------------------------------------------------


def pages(client, **body):
    """All pages, one after the other."""
    found = [asked(client, **body)]
    while (cursor := found[-1]["cursor"]) is not None:
        found.append(asked(client, **body, cursor=cursor))
    return found


def test_pages_repeat_nothing_and_end_when_all_is_shown(client, films):
    shown = [item for page in pages(client, history=HISTORY, k=9) for item in ids(page)]
    assert shown == films.knn.recommend(HISTORY, k=60).items


def test_a_pin_is_on_one_page_only(client):
    pin = [{"item_id": "grease-1978", "place": 2}]
    shown = [ids(page) for page in pages(client, history=HISTORY, k=20, pin=pin)]
    assert shown[0][1] == "grease-1978"
    flat = [item for page in shown for item in page]
    assert len(flat) == len(set(flat)) == 58  # all but the history, and the pinned one of it


def test_a_cursor_that_is_none(client):
    answer = client.post("/v1/recommend", json={"cursor": "nothing"})
    assert "of no known answer" in refused(answer, 404, "not_found")
    for route, body in [("search", {"text": "space"}), ("similar", {"item_id": "alien-1979"})]:
        assert asked(client, f"/v1/{route}", k=1, **body)["cursor"] is None


# --- Scenarios and experiments --------------------------------------------------------------------


def test_a_scenario_is_settings_that_a_request_may_overrule(client):
    home = asked(client, history=HISTORY, scenario="home", fields=["year", "director"])
    assert home["scenario"] == "home"
    assert len(home["items"]) == 4
    assert all(item["fields"]["year"] >= 1980 for item in home["items"])
    assert len({item["fields"]["director"] for item in home["items"]}) == 4
    assert len(ids(asked(client, history=HISTORY, scenario="home", k=2))) == 2
    none = client.post("/v1/recommend", json={"scenario": "hime"})
    message = refused(none, 404, "not_found")
    assert message == "There is no scenario 'hime'. There are: home, pinned, tried."


def test_people_stay_in_their_group(client):
    groups = {}
    for number in range(80):
        answer = asked(client, user_id=f"u{number}", scenario="tried", history=HISTORY)
        group = groups[number] = answer["group"]["group"]
        assert answer["model"] == {"control": "knn", "treatment": "popularity"}[group]
    again = asked(client, user_id="u3", scenario="tried", history=HISTORY)
    assert again["group"] == {"experiment": "better", "group": groups[3]}
    assert set(groups.values()) == {"control", "treatment"}
    session = asked(client, session_id="u3", scenario="tried", history=HISTORY)
    assert session["group"]["group"] == groups[3]


def test_who_names_a_model_or_nobody_is_in_no_experiment(client):
    assert asked(client, scenario="tried", history=HISTORY)["group"] is None
    assert asked(client, user_id="u1", scenario="tried", model="knn")["group"] is None
    assert asked(client, user_id="u1", history=HISTORY)["group"] is None


def test_groups_have_their_shares():
    shares = {"a": 1.0, "b": 3.0}
    groups = [group_of("x", f"person {number}", shares) for number in range(4000)]
    # Of 4,000, 1,000 are expected in a; 4 standard deviations are 4 * sqrt(4000 * 3 / 16) = 110.
    assert abs(groups.count("a") - 1000) < 110
    assert group_of("x", "ann", {"only": 1.0}) == "only"
    other = [group_of("y", f"person {number}", shares) for number in range(4000)]
    both = sum(g == o == "a" for g, o in zip(groups, other, strict=True))
    assert abs(both - 250) < 4 * (4000 / 16 * 15 / 16) ** 0.5  # independent of each other


# --- When the model cannot say anything -----------------------------------------------------------


def test_who_is_unknown_gets_what_is_popular(client, films):
    answer = asked(client, k=5)
    counts = dict(zip(films.data.items.ids, films.data.item_counts.tolist(), strict=True))
    assert answer["fallback"] == {"to": "popularity", "reason": "no_history"}
    assert answer["source"] == "popularity"
    assert [item["score"] for item in answer["items"]] == sorted(counts.values())[::-1][:5]
    unknown = asked(client, history=["nowhere", "no-film"], k=5)
    assert ids(unknown) == ids(answer)
    assert unknown["notes"] == ["2 of 2 items of the history are unknown."]
    one = asked(client, history=["nowhere", *HISTORY], k=5)
    assert one["notes"] == ["1 of 4 items of the history are unknown."]
    assert one["fallback"] is None


def test_without_any_counts_the_model_or_the_catalog_answers(serving, films, monkeypatch):
    client = serving()
    assert asked(client, k=5)["source"] == "model"  # which knows what was popular in training
    base = client.service.shelf.active.live.base
    monkeypatch.setattr(base, "topk", lambda batch, k: 1 / 0)
    answer = asked(client, k=5, filter="year >= 2000")
    assert answer["fallback"] == {"to": "catalog", "reason": "model_error"}
    table = films.data.catalog
    assert ids(answer) == table.filter(table["year"] >= 2000)["item_id"].head(5).to_list()


def test_a_model_that_fails_is_stood_in_for(serving, films, monkeypatch):
    client = serving(dataset=films.data)
    base = client.service.shelf.active.live.base
    monkeypatch.setattr(base, "topk", lambda batch, k: 1 / 0)
    answer = asked(client, history=["alien-1979"], k=3, explain=True)
    assert answer["fallback"] == {"to": "item_to_item", "reason": "model_error"}
    assert ids(answer) == ids(asked(client, "/v1/similar", item_id="alien-1979", k=3))
    assert answer["items"][0]["why"]["text"].startswith("Described like the latest items")
    assert answer["items"][0]["why"]["because"] == []
    metrics = client.get("/metrics").text
    assert 'itemlm_fallbacks_total{reason="model_error"} 1.0' in metrics
    text = asked(client, text="horror", k=3)
    assert text["source"] == "search"


def test_a_model_that_is_late_is_stood_in_for(serving, films, monkeypatch):
    client = serving({"limits": {"timeout_ms": 30}}, dataset=films.data)
    base = client.service.shelf.active.live.base
    topk = base.topk
    monkeypatch.setattr(base, "topk", lambda batch, k: time.sleep(0.15) or topk(batch, k))
    pin = [{"item_id": "grease-1978", "place": 1}]
    body = {"history": ["alien-1979"], "k": 4, "filter": "year < 2000", "pin": pin}
    answer = asked(client, **body, fields=["year"], max_per={"director": 1})
    assert answer["fallback"] == {"to": "item_to_item", "reason": "timeout"}
    assert all(item["fields"]["year"] < 2000 for item in answer["items"])
    assert ids(answer)[0] == "grease-1978"  # rules hold all the same
    late = asked(client, user_id="nobody-knows", k=2)
    assert late["fallback"] == {"to": "popularity", "reason": "timeout"}
    monkeypatch.setattr(base, "topk", topk)
    kept = client.get(f"/v1/explain/{answer['recommendation_id']}").json()
    # What the model would have said is no reason for what it did not say.
    assert all(item["why"]["because"] == [] for item in kept["items"])


# --- Words ----------------------------------------------------------------------------------------


def test_a_wish_in_words(client, films):
    answer = asked(client, text="horror in space", k=5)
    assert answer["source"] == "search"
    assert answer["fallback"] is None
    assert ids(answer) == ids(asked(client, "/v1/search", text="horror in space", k=5))
    both = asked(client, text="horror in space", history=HISTORY, k=5)
    assert both["source"] == "model+search"
    assert not set(ids(both)) & set(HISTORY)
    silent = asked(client, text="  ", history=HISTORY, k=5)
    assert ids(silent) == films.knn.recommend(HISTORY, k=5).items


def test_search_finds_words_and_what_they_mean(client):
    answer = asked(client, "/v1/search", text="alie", by="words", k=3, fields=["title"])
    assert answer["items"][0]["fields"]["title"].startswith("Alien")
    assert answer["source"] == "search"
    assert ids(asked(client, "/v1/search", text="monsters", by="meaning", k=3))
    assert ids(asked(client, "/v1/search", text="")) == []
    assert ids(asked(client, "/v1/search", text="alien", filter="year > 2100")) == []


def test_similar_items(client, films):
    text = asked(client, "/v1/similar", item_id="alien-1979", k=4)
    assert text["source"] == "text"
    scores = [item["score"] for item in text["items"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] <= 1
    assert "alien-1979" not in ids(text)
    behavior = asked(client, "/v1/similar", item_id="alien-1979", by="behavior", k=4)
    assert behavior["source"] == "behavior"
    assert ids(behavior) == films.knn.recommend(["alien-1979"], k=4).items
    less = asked(client, "/v1/similar", item_id="alien-1979", k=3, exclude=ids(text)[:1])
    assert ids(less) == ids(text)[1:]
    missing = client.post("/v1/similar", json={"item_id": "nowhere"})
    assert "There is no item 'nowhere'." in refused(missing, 404, "not_found")
    why = client.get(f"/v1/explain/{text['recommendation_id']}").json()["items"][0]["why"]
    assert why["text"] == "Described alike."


def test_rank_orders_a_list(client, films):
    some = ["grease-1978", "alien-1979", "nowhere", "star-wars-1977", "titanic-1997"]
    answer = asked(client, "/v1/rank", history=["star-wars-1977"], items=some)
    known = [item for item in some if item != "nowhere"]
    slate = films.knn.recommend(["star-wars-1977"], k=4, only=known, exclude_seen=False)
    assert ids(answer) == slate.items
    assert answer["notes"] == ["1 of the items are unknown."]
    assert answer["cursor"] is None


# --- Reasons --------------------------------------------------------------------------------------


def test_reasons_are_true_of_the_model(client, films):
    """Without the item that is named, the model says what the reason claims."""
    answer = asked(client, history=HISTORY, k=6, explain=True)
    claims = 0
    for place, item in enumerate(answer["items"], 1):
        for because in item["why"]["because"]:
            out = because["item_id"]
            others = [other for other in HISTORY if other != out]
            slate = films.knn.recommend(others, k=12, without=[out]).items
            then = slate.index(item["item_id"]) + 1 if item["item_id"] in slate else None
            assert because["place_without"] == then
            assert then is None or then > place
            claims += 1
    assert claims >= 6
    first = answer["items"][0]["why"]
    assert first["because"][0]["title"] in first["text"]
    later = client.get(f"/v1/explain/{answer['recommendation_id']}").json()
    assert later["items"] == answer["items"]
    assert later["history"] == HISTORY


SHAPED = [
    {"boost": [{"when": "year >= 1990", "by": 3}]},
    {"max_per": {"director": 1}, "filter": "year >= 1975"},
    {"pin": [{"item_id": "titanic-1997", "place": 1}]},
    {"diversity": 0.5},
    {"novelty": 0.4},
    {"text": "space travel"},
    {"exclude_seen": False},
    {"scenario": "home"},
    {"scenario": "pinned", "pin": []},
]


@pytest.mark.parametrize("shaped", SHAPED, ids=str)
def test_reasons_are_true_of_shaped_slates(client, shaped):
    """Asked again without the item that is named, the service says what the reason claims."""
    body = {"history": HISTORY, "k": 6, **shaped}
    answer = asked(client, **body)
    kept = client.get(f"/v1/explain/{answer['recommendation_id']}").json()
    assert [item["item_id"] for item in kept["items"]] == ids(answer)
    whys = [item["why"] for item in asked(client, **body, explain=True)["items"]]
    assert [item["why"] for item in kept["items"]] == whys
    check_claims(client, body, kept["items"])


def check_claims(client, body, items, before=()):
    """Every claim against an answer that was asked for without the item that is named."""
    shaping = ("boost", "max_per", "pin", "diversity", "novelty", "text")
    is_shaped = any(body.get(name) for name in shaping) or body.get("scenario") == "home"
    reach = 1 if is_shaped else 2
    claims = 0
    for place, item in enumerate(items, 1):
        for because in item["why"]["because"]:
            assert not item["pinned"]
            out = because["item_id"]
            question = {**body, "history": [other for other in HISTORY if other != out]}
            if body.get("exclude_seen", True):
                question["exclude"] = [*before, out]
            then = ids(asked(client, **{**question, "k": reach * body["k"]}))
            place_then = then.index(item["item_id"]) + 1 if item["item_id"] in then else None
            if reach == 1 and place_then is None and "text" in body:
                place_then = because["place_without"]  # the fused list goes on behind the slate
                assert place_then is None or place_then > body["k"]
            assert because["place_without"] == place_then
            assert place_then is None or place_then > place
            claims += 1
    assert claims


def test_reasons_on_a_second_page_count_from_its_first_place(client):
    first = asked(client, history=HISTORY, k=6)
    second = asked(client, history=HISTORY, k=6, cursor=first["cursor"], explain=True)
    check_claims(client, {"history": HISTORY, "k": 6}, second["items"], before=ids(first))
    kept = client.get(f"/v1/explain/{second['recommendation_id']}").json()
    assert kept["items"] == second["items"]


def test_reasons_for_a_ranking_are_about_the_list(client, films):
    some = films.data.items.ids.to_list()[3:13]
    answer = asked(client, "/v1/rank", history=HISTORY, items=some)
    kept = client.get(f"/v1/explain/{answer['recommendation_id']}").json()
    for place, item in enumerate(kept["items"], 1):
        for because in item["why"]["because"]:
            others = [other for other in HISTORY if other != because["item_id"]]
            slate = films.knn.recommend(others, k=10, only=some, exclude_seen=False).items
            assert because["place_without"] == slate.index(item["item_id"]) + 1 > place


def test_where_chance_had_a_part_nothing_is_claimed(client):
    answer = asked(client, history=HISTORY, k=6, explore=0.9, explain=True)
    for item in answer["items"]:
        assert item["why"]["because"] == []
        assert "Chance had a part" in item["why"]["text"]
    kept = client.get(f"/v1/explain/{answer['recommendation_id']}").json()
    assert [item["why"] for item in kept["items"]] == [item["why"] for item in answer["items"]]


def test_reasons_without_a_history(client):
    answer = asked(client, k=2, explain=True)
    assert answer["items"][0]["why"]["text"].startswith("Popular: taken ")
    missing = client.get("/v1/explain/nothing")
    assert "There is no answer 'nothing'." in refused(missing, 404, "not_found")


# --- Events and people ----------------------------------------------------------------------------


def test_events_count_once(serving):
    client = serving()
    event = {"event_id": "e1", "user_id": "ann", "item_id": "alien-1979"}
    assert asked(client, "/v1/events", **event) == {
        "accepted": 1,
        "duplicates": 0,
        "event_ids": ["e1"],
    }
    assert asked(client, "/v1/events", **event)["duplicates"] == 1
    plain = {"events": [{"user_id": "ann", "item_id": "grease-1978"}] * 2}
    key = {"Idempotency-Key": "k"}
    first = client.post("/v1/events", json=plain, headers=key).json()
    again = client.post("/v1/events", json=plain, headers=key).json()
    assert (first["accepted"], again["accepted"], again["duplicates"]) == (2, 0, 2)
    assert first["event_ids"] == again["event_ids"]
    assert asked(client, "/v1/events", **plain)["accepted"] == 2  # without a key they are new
    assert len(client.get("/v1/users/ann").json()["events"]) == 5


def test_what_people_did_is_their_history(serving, films):
    client = serving(dataset=films.data)
    for item in HISTORY:
        asked(client, "/v1/events", user_id="ann", item_id=item)
        asked(client, "/v1/events", session_id="visit", item_id=item)
    asked(client, "/v1/events", user_id="ann", item_id="titanic-1997", kind="impression")
    slate = films.knn.recommend(HISTORY, k=5).items
    assert ids(asked(client, user_id="ann", k=5)) == slate
    assert ids(asked(client, session_id="visit", k=5)) == slate
    given = asked(client, user_id="ann", history=["titanic-1997"], k=5)
    assert ids(given) == films.knn.recommend(["titanic-1997"], k=5).items
    person = "viewer-001"
    past = list(films.data.query(person).history)
    assert ids(asked(client, user_id=person, k=5)) == films.knn.recommend(past, k=5).items
    new = next(item for item in films.data.items.ids if item not in past)
    asked(client, "/v1/events", user_id=person, item_id=new)
    longer = films.knn.recommend([*past, new], k=5).items
    assert ids(asked(client, user_id=person, k=5)) == longer
    assert client.get(f"/v1/users/{person}").json()["trained_on"] == past


def test_a_persons_events_by_pages(serving):
    client = serving()
    for number, item in enumerate(HISTORY):
        asked(client, "/v1/events", user_id="ann", item_id=item, timestamp=1000 + number)
    page = client.get("/v1/users/ann", params={"limit": 2}).json()
    assert [event["item_id"] for event in page["events"]] == ["grease-1978", "star-wars-1977"]
    rest = client.get("/v1/users/ann", params={"limit": 2, "cursor": page["cursor"]}).json()
    assert [event["item_id"] for event in rest["events"]] == ["alien-1979"]
    assert rest["cursor"] is None
    for wrong in ("x", "5", "5-", "-5", "١-١"):
        answer = client.get("/v1/users/ann", params={"cursor": wrong})
        assert "The cursor is none of ours." in refused(answer, 422, "bad_request")


def test_forgetting_leaves_nothing(serving, films):
    client = serving(dataset=films.data)
    person = "viewer-001"
    asked(client, "/v1/events", user_id=person, item_id="alien-1979")
    answer = asked(client, user_id=person, k=3)
    client.service.recorder.flush()
    gone = client.delete(f"/v1/users/{person}").json()
    assert gone == {
        "user_id": person,
        "events": 1,
        "recommendations": 1,
        "history_hidden": True,
    }
    assert asked(client, user_id=person)["fallback"]["reason"] == "no_history"
    kept = client.get(f"/v1/users/{person}").json()
    assert (kept["events"], kept["trained_on"]) == ([], [])
    assert client.get(f"/v1/explain/{answer['recommendation_id']}").status_code == 404
    again = client.delete(f"/v1/users/{person}").json()
    assert (again["events"], again["history_hidden"]) == (0, False)
    asked(client, "/v1/events", user_id=person, item_id="alien-1979")
    assert ids(asked(client, user_id=person, k=3)) == films.knn.recommend(["alien-1979"], 3).items


def test_what_a_model_learned_of_the_forgotten_is_not_used(serving, films, monkeypatch):
    """A model that knows people by name is not told the name."""
    client = serving(dataset=films.data)
    live, told = client.service.shelf.active.live, []
    topk = live.base.topk
    monkeypatch.setattr(live, "users", films.data.users)
    monkeypatch.setattr(
        live.base, "topk", lambda batch, k: told.extend(batch.user_rows) or topk(batch, k)
    )
    assert asked(client, user_id="viewer-002", history=HISTORY)["source"] == "model"
    client.delete("/v1/users/viewer-002")
    asked(client, user_id="viewer-002", history=HISTORY)
    assert asked(client, user_id="viewer-002")["fallback"]["reason"] == "no_history"
    row = int(films.data.users.rows(["viewer-002"])[0])
    assert told == [row, -1, -1]


# --- Items ----------------------------------------------------------------------------------------


def test_a_new_item_is_recommended_at_once(serving):
    client = serving()
    twin = client.get("/v1/items/alien-1979").json()["fields"]
    body = {"items": [{"item_id": "new", **twin, "title": "Alien"}]}
    answer = asked(client, "/v1/items", **body)
    assert answer == {"added": 1, "updated": 0, "live": True}
    slate = ids(asked(client, history=["star-wars-1977"], k=60))
    assert slate.index("new") == slate.index("alien-1979") + 1
    found = client.get("/v1/items/new").json()
    assert (found["arrived"], found["like"][0]) == (True, "alien-1979")
    assert "new" in ids(asked(client, "/v1/search", text="alien", k=3))
    assert "new" in ids(asked(client, "/v1/similar", item_id="alien-1979", k=1))
    after = asked(client, history=["new"], k=60)
    assert "new" not in ids(after)
    assert asked(client, only=["new"], history=HISTORY, explain=True)["items"][0]["why"]["text"]
    assert client.get("/v1/health").json()["arrived"] == 1


def test_items_change_leave_and_come_back(serving):
    client = serving()
    asked(client, "/v1/items", items=[{"item_id": "alien-1979", "year": 2050, "stock": 5}])
    assert ids(asked(client, history=HISTORY[1:], filter="stock == 5", k=5)) == ["alien-1979"]
    assert client.delete("/v1/items/alien-1979").json()["removed"] is True
    assert client.delete("/v1/items/alien-1979").json()["removed"] is False
    assert "alien-1979" not in ids(asked(client, history=HISTORY[1:], k=60))
    assert client.get("/v1/items/alien-1979").json()["removed"] is True
    assert "alien-1979" not in ids(asked(client, "/v1/search", text="alien"))
    asked(client, "/v1/items", items=[{"item_id": "alien-1979"}])
    assert "alien-1979" in ids(asked(client, history=HISTORY[1:], k=60))
    assert client.get("/v1/items/alien-1979").json()["fields"]["year"] == 2050
    missing = client.delete("/v1/items/nowhere")
    assert "There is no item 'nowhere'." in refused(missing, 404, "not_found")


def test_items_that_do_not_fit_change_nothing(serving):
    client = serving()
    body = {"items": [{"item_id": "new", "title": "fine"}, {"item_id": "bad", "year": "soon"}]}
    message = refused(client.post("/v1/items", json=body), 400, "bad_request")
    assert "item 'bad': field 'year' is 'soon', but holds a whole number" in message
    assert client.get("/v1/items/new").status_code == 404
    body = {"items": [{"item_id": "x", "stock": 1}, {"item_id": "y", "stock": "many"}]}
    assert "'stock' is 'many'" in refused(client.post("/v1/items", json=body), 400, "bad_request")
    raw = '{"items": [{"item_id": "x", "price": 1e999}]}'
    answer = client.post("/v1/items", content=raw, headers={"Content-Type": "application/json"})
    refused(answer, 422, "bad_request")


def test_half_a_character_is_refused_and_nothing_of_it_stays(serving):
    """It could be written down, but never be read again into a table."""
    client = serving()
    raw = '{"items": [{"item_id": "x", "title": "\\ud800"}]}'
    answer = client.post("/v1/items", content=raw, headers={"Content-Type": "application/json"})
    assert "but holds a text" in refused(answer, 400, "bad_request")
    client.service.stop()
    assert serving().get("/v1/items/x").status_code == 404


def test_the_catalog_by_pages(client, films):
    found, cursor = [], None
    while True:
        params = {"limit": 25, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/items", params=params).json()
        found += [item["item_id"] for item in page["items"]]
        assert page["total"] == 60
        if (cursor := page["cursor"]) is None:
            break
    assert found == films.data.items.ids.to_list()
    assert client.get("/v1/items", params={"filter": "year > 2100"}).json()["total"] == 0


def test_popularity_by_month_counts_the_past_and_the_present(serving, films):
    client = serving(dataset=films.data)
    before = client.get("/v1/popularity/alien-1979").json()
    row = int(films.data.items.rows(["alien-1979"])[0])
    assert sum(before["counts"]) == films.data.item_counts[row]
    assert before["periods"] == sorted(before["periods"])
    asked(client, "/v1/events", user_id="ann", item_id="alien-1979", timestamp=0)
    after = client.get("/v1/popularity/alien-1979").json()
    assert (after["periods"][0], after["counts"][0]) == ("1970-01-01", 1)


# --- Models ---------------------------------------------------------------------------------------


def test_models_are_swapped_and_rolled_back(serving, films):
    client = serving()
    listed = client.get("/v1/models").json()
    assert (listed["active"], listed["previous"]) == ("knn", None)
    assert [model["paper"] for model in listed["models"]] == ["itemknn", "popularity"]
    swapped = client.post("/v1/models/popularity/activate").json()
    assert (swapped["active"], swapped["previous"]) == ("popularity", "knn")
    answer = asked(client, history=HISTORY, k=5)
    assert ids(answer) == films.popularity.recommend(HISTORY, k=5).items
    assert client.post("/v1/models/rollback").json()["active"] == "knn"
    assert asked(client, history=HISTORY)["model"] == "knn"
    missing = client.post("/v1/models/none/activate")
    assert "There is no model 'none'." in refused(missing, 404, "not_found")
    again = serving()
    assert again.get("/v1/models").json()["active"] == "knn"


def test_a_damaged_model_harms_nobody(serving, films, tmp_path):
    more = tmp_path / "more"
    films.knn.save(more / "broken")
    (more / "broken" / "model.safetensors").write_bytes(b"nothing")
    client = serving(more_models=more)
    answer = client.post("/v1/models/broken/activate")
    assert "not the file that was saved" in refused(answer, 400, "bad_request")
    (more / "broken" / "manifest.json").write_text("{")
    assert [row["name"] for row in client.get("/v1/models").json()["models"]] == [
        "knn",
        "popularity",
    ]
    assert asked(client, history=HISTORY)["model"] == "knn"


def test_a_shadow_model_is_asked_the_same(serving, films):
    client = serving({"shadow": "popularity"})
    answer = asked(client, history=HISTORY, k=5)
    client.service.stop()
    reopened = serving()
    shadows = reopened.service.store.shadows().to_dicts()
    assert len(shadows) == 1
    assert shadows[0]["recommendation_id"] == answer["recommendation_id"]
    assert shadows[0]["model"] == "popularity"
    assert list(shadows[0]["items"]) == films.popularity.recommend(HISTORY, k=5).items


def test_a_shadow_that_cannot_keep_up_is_asked_less(serving, monkeypatch):
    monkeypatch.setattr("itemlm.serve.core.SHADOWS", 2)
    client = serving({"shadow": "popularity"})
    base = client.service.shelf.loaded("popularity").live.base
    topk = base.topk
    monkeypatch.setattr(base, "topk", lambda batch, k: time.sleep(0.05) or topk(batch, k))
    for _ in range(6):
        assert asked(client, history=HISTORY, k=5)["model"] == "knn"
    client.service.stop()
    assert 2 <= serving().service.store.shadows().height < 6


# --- Limits and state -----------------------------------------------------------------------------


def test_limits_of_k(client):
    assert len(ids(asked(client, history=HISTORY, k=70))) == 57
    message = refused(client.post("/v1/recommend", json={"k": 71}), 422, "bad_request")
    assert message == "k is 71, but at most 70 is served."
    for route, body in [("search", {"text": "a"}), ("similar", {"item_id": "alien-1979"})]:
        answer = client.post(f"/v1/{route}", json={**body, "k": 71})
        assert "at most 70" in refused(answer, 422, "bad_request")
    refused(client.post("/v1/recommend", json={"k": 0}), 422, "bad_request")


def test_what_is_not_there_is_told_in_one_shape(client):
    for path in ("/v1/items/nowhere", "/v1/popularity/nowhere", "/v1/explain/x", "/v1/x"):
        refused(client.get(path), 404, "not_found")
    unknown = client.post("/v1/recommend", json={"histroy": []})
    assert "histroy" in refused(unknown, 422, "bad_request")
    refused(client.post("/v1/models/rollback"), 404, "not_found")


def test_health_and_readiness(serving):
    client = serving()
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}
    asked(client, history=HISTORY)
    health = client.get("/v1/health").json()
    assert (health["status"], health["model"], health["items"]) == ("ready", "knn", 60)
    assert health["requests"] >= 3
    assert health["errors"] == 0
    client.service.draining = True
    assert "about to stop" in refused(client.get("/readyz"), 503, "draining")
    assert client.get("/healthz").status_code == 200
    assert client.get("/v1/health").json()["status"] == "draining"


def test_a_stopped_service_says_so(serving):
    client = serving()
    client.service._questions.stop()
    client.service._events.stop()
    answer = client.post("/v1/recommend", json={"history": HISTORY})
    assert "about to stop" in refused(answer, 503, "draining")
    answer = client.post("/v1/events", json={"item_id": "alien-1979"})
    assert "about to stop" in refused(answer, 503, "draining")


def test_what_was_shown_is_written_down(serving):
    client = serving()
    answer = asked(client, user_id="ann", history=HISTORY, k=4, scenario="home", explore=0.5)
    client.service.recorder.flush()
    kept = client.service.store.recommendation(answer["recommendation_id"])
    assert (kept.user_id, kept.model, kept.scenario) == ("ann", "knn", "home")
    assert [item.item_id for item in kept.items] == ids(answer)
    assert [item.place for item in kept.items] == [1, 2, 3, 4]
    propensities = [item["propensity"] for item in answer["items"]]
    assert [item.propensity for item in kept.items] == pytest.approx(propensities)
    assert json.loads(kept.request_json) == {
        "user_id": "ann",
        "k": 4,
        "scenario": "home",
        "explore": 0.5,
    }
    assert kept.history == HISTORY


def test_upkeep_counts_popularity_anew(serving):
    client = serving()
    for number in range(3):
        asked(client, "/v1/events", user_id=f"u{number}", item_id="grease-1978")
    client.portal.call(client.service.upkeep)
    answer = asked(client, k=1)
    assert (ids(answer), answer["items"][0]["score"]) == (["grease-1978"], 3)
