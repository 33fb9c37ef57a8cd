"""Every error has one shape, a code of the table, and a sentence that helps."""

import pytest
from http_app import client
from hypothesis import given
from hypothesis import strategies as st

from itemlm.serve.http.errors import CODES, ApiError, responses
from itemlm.serve.http.validation import clean, shown
from itemlm.serve.schemas import ProblemAnswer

JSON = {"Content-Type": "application/json"}


def problem(answer):
    """The error of an answer, after a check of its shape."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "field", "request_id"}
    parsed = ProblemAnswer.model_validate(body).error
    assert answer.headers["content-type"] == "application/json"
    assert parsed.request_id == answer.headers["x-request-id"]
    assert answer.status_code in CODES[parsed.code].statuses
    return parsed


@pytest.mark.parametrize("code", CODES)
def test_a_route_can_raise_every_code(code):
    answer = client().get(f"/v1/raise/{code}")
    assert answer.status_code == CODES[code].statuses[0]
    assert problem(answer).code == code
    assert problem(answer).message == f"This is {code}."
    assert answer.headers["retry-after"] == "2"  # whole seconds, rounded up from 1.2


def test_a_code_must_be_in_the_table():
    with pytest.raises(KeyError):
        ApiError("no_such_code", "x")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "message"),
    [
        ("GET", "/v1/nothing", None, 404, "not_found", "There is no GET /v1/nothing."),
        (
            "DELETE",
            "/v1/bug",
            None,
            405,
            "method_not_allowed",
            "DELETE is not possible here. Possible: GET.",
        ),
        ("GET", "/v1/mistake", None, 400, "bad_request", "the column 'x' is empty."),
        (
            "GET",
            "/v1/rule",
            None,
            400,
            "bad_filter",
            "the expression is wrong from 'pricey' at character 1: no such field.",
        ),
        (
            "POST",
            "/v1/recommend",
            '{"k": 5,}',
            400,
            "bad_json",
            "The body is not JSON: Expecting property name enclosed in double quotes "
            "(character 8).",
        ),
        ("POST", "/v1/recommend", "", 422, "bad_request", "The body is missing."),
        (
            "POST",
            "/v1/recommend",
            '{"k": 0}',
            422,
            "bad_request",
            "'k' must be greater than or equal to 1; received 0.",
        ),
        (
            "POST",
            "/v1/recommend",
            '{"history": ["heat", 1.5]}',
            422,
            "bad_request",
            "'history.1' must be a valid string or must be a valid integer; received 1.5.",
        ),
        (
            "POST",
            "/v1/recommend",
            "[1, 2]",
            422,
            "bad_request",
            "The body must be a JSON object; received a list of 2.",
        ),
        (
            "POST",
            "/v1/events",
            '{"events": [{"item_id": 1}, {"kind": "view"}]}',
            422,
            "bad_request",
            "'events.1.item_id' is missing.",
        ),
        (
            "POST",
            "/v1/events",
            '{"events": [{"item_id": 1, "timestamp": "1812-01-01"}]}',
            422,
            "bad_request",
            "'events.0.timestamp' must lie between the years 1970 and 2200; received '1812-01-01'.",
        ),
        (
            "GET",
            "/v1/users/ann?limit=ten",
            None,
            422,
            "bad_request",
            "'limit' must be a valid integer, unable to parse string as an integer; received "
            "'ten'.",
        ),
    ],
)
def test_what_a_mistake_is_told(method, path, body, status, code, message):
    answer = client().request(method, path, content=body, headers=JSON)
    found = problem(answer)
    assert (answer.status_code, found.code, found.message) == (status, code, message)


def test_a_405_names_what_is_allowed():
    assert client().delete("/v1/bug").headers["allow"] == "GET"


def test_an_unknown_key_gets_the_nearest_valid_one():
    answer = client().post("/v1/events", json={"events": [{"itemid": "heat", "kind": "view"}]})
    found = problem(answer)
    assert found.field == "events.0.itemid"
    assert found.message.startswith(
        "There is no field 'itemid' here. Did you mean 'item_id'? Valid: event_id, item_id, kind,"
    )
    assert found.message.endswith("There is 1 more such.")  # item_id is missing, too


def test_an_unexpected_error_says_nothing_but_its_request_id(caplog):
    answer = client().get("/v1/bug", headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 500
    assert problem(answer).message == "Something went wrong here. Its request id is r-1."
    assert "secret" not in answer.text
    (record,) = [row for row in caplog.records if row.exc_info]
    assert record.exc_info[0] is ZeroDivisionError
    assert "/v1/bug" in record.getMessage()


def test_an_error_after_the_answer_has_begun_breaks_it_off():
    from itemlm.serve.http import exchange
    from itemlm.serve.http.errors import Answered

    async def half(scope, receive, send):
        exchange.of(scope).status = 200
        raise ZeroDivisionError

    scope = {"type": "http", "headers": [], "path": "/", "method": "GET"}
    exchange.begin(scope)
    coroutine = Answered(half)(scope, None, None)
    with pytest.raises(ZeroDivisionError):
        coroutine.send(None)


@pytest.mark.parametrize(
    "body",
    [
        {"filtér\ud800\x1b[31m" + "x" * 500: 1},
        {"k": "\ud800"},
        {"text": 10**400},
        {"max_per": {"\u202e\n" * 90: "x" * 10_000}},
        {"history": [{"a": "secret" * 1000}]},
    ],
)
def test_hostile_values_are_cleaned_and_shortened(body):
    import json

    answer = client().post("/v1/recommend", content=json.dumps(body), headers=JSON)
    found = problem(answer)
    assert answer.status_code == 422
    assert found.message.isprintable()
    assert (found.field or "").isprintable()
    assert len(found.message) < 1100
    assert "secretsecret" not in found.message


def test_a_route_may_repeat_what_it_was_given():
    web = client()

    @web.app.get("/v1/repeat")
    async def repeat():
        raise ApiError("not_found", "There is\nno item 'a\x1b\ud800'.", field="a\ud800\x00")

    found = problem(web.get("/v1/repeat"))
    assert (found.message, found.field) == ("There is no item 'a?'.", "a?")


@given(st.text(max_size=300), st.integers(2, 100))
def test_clean_text_is_printable_and_short(text, length):
    found = clean(text, length)
    assert len(found) <= length
    assert found.isprintable()
    if len(text) <= length and text.isprintable():
        assert found == text


def test_received_values_are_shown_as_json_has_them():
    assert [shown(value) for value in (True, None, 3, 0.5, "a", [1, 2], {"a": 1})] == [
        "true",
        "null",
        "3",
        "0.5",
        "'a'",
        "a list of 2",
        "an object of 1 key",
    ]
    assert len(shown("x" * 1000)) == 80


def test_responses_for_openapi_group_codes_by_status():
    table = responses("no_key", "unknown_key", "rate_limited")
    assert list(table) == [401, 429]
    assert table[401]["model"] is ProblemAnswer
    assert "`no_key`: An API key" in table[401]["description"]
    assert "`unknown_key`" in table[401]["description"]
