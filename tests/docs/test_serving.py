"""What is told about the service is true: requests run, settings are read, everything is listed."""

import json
import re
import shlex

import pytest
from examples import ROOT, blocks, commands

pytest.importorskip("fastapi", reason="needs the extra 'serve'")
httpx = pytest.importorskip("httpx", reason="needs the extra 'client'")

from pydantic import BaseModel
from served import running

from itemlm.serve import schemas
from itemlm.serve.http.errors import CODES
from itemlm.serve.http.metrics import Metrics
from itemlm.serve.http.scopes import required_scope
from itemlm.serve.settings import ServiceSettings, Settings

GUIDES = ROOT / "docs" / "guides"
SERVE, API, AB = GUIDES / "serve.md", GUIDES / "api.md", GUIDES / "ab-tests.md"
LOCAL = "http://localhost:8000/v1"


def named_files(page):
    """Fenced blocks that are files, by name."""
    return {block.file: block.text for block in blocks(page) if block.file}


# --- Requests -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    settings = tmp_path_factory.mktemp("settings") / "service.toml"
    settings.write_text(named_files(SERVE)["service.toml"], encoding="utf-8")
    with running(settings) as there:
        yield there


def sent(words, address):
    """What a curl command would be answered."""
    method, url, body = "GET", None, None
    rest = iter(words[1:])
    for word in rest:
        if word == "--json":
            method, body = "POST", next(rest)
        elif word == "-X":
            method = next(rest)
        elif word != "-s":
            url = word.replace("$API", LOCAL).replace("http://localhost:8000", address)
    headers = {} if body is None else {"Content-Type": "application/json"}
    return httpx.request(method, url, content=body, headers=headers)


def test_curl_commands_are_answered(address):
    asked = [(line, words) for line, words in commands(SERVE) if words[0] == "curl"]
    assert len(asked) > 15
    for line, words in asked:
        response = sent(words, address)
        assert response.status_code == 200, f"{line}\n{response.text}"


def test_the_address_of_the_commands_is_set():
    assert any(words == [f"API={LOCAL}"] for _, words in commands(SERVE))


def holds(got, shown):
    """Whether an answer has what the documentation shows of it."""
    if isinstance(shown, dict):
        return shown.keys() <= got.keys() and all(holds(got[name], shown[name]) for name in shown)
    if isinstance(shown, list):
        return len(shown) <= len(got) and all(map(holds, got, shown))
    return got == (pytest.approx(shown, abs=1e-4) if isinstance(shown, float) else shown)


def test_answers_are_what_is_shown(address):
    shown = [
        (comment.removeprefix("answers: "), block)
        for block in blocks(SERVE)
        for comment in block.comments
        if comment.startswith("answers: ")
    ]
    assert len(shown) >= 3
    for command, block in shown:
        got = sent(shlex.split(command), address).json()
        assert holds(got, json.loads(block.text)), f"line {block.line}: got {json.dumps(got)}"


def test_what_is_not_answered_would_be_noticed():
    assert holds({"items": [{"k": 1, "j": 2}, {}]}, {"items": [{"k": 1}]})
    assert not holds({"items": []}, {"items": [{"k": 1}]})
    assert not holds({"k": 1}, {"k": 2})
    assert not holds({}, {"k": None})


# --- Settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [SERVE, AB], ids=lambda page: page.name)
def test_settings_files_can_be_read(page, tmp_path):
    files = {name: text for name, text in named_files(page).items() if name.endswith(".toml")}
    assert files
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        ServiceSettings.read(tmp_path / name)


def test_the_defaults_are_what_is_told(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text(named_files(SERVE)["limits.toml"], encoding="utf-8")
    told, default = ServiceSettings.read(path).model_dump(), ServiceSettings().model_dump()
    # The two of which the page says that they differ.
    told["batching"]["threads"], told["retention"]["events_days"] = 0, None
    assert told == default


def names_of(kind):
    """Names of all settings, those inside other settings too."""
    for name, field in kind.model_fields.items():
        yield name
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        for inner in kinds:
            if isinstance(inner, type) and issubclass(inner, Settings):
                yield from names_of(inner)


def test_every_setting_is_told():
    text = SERVE.read_text(encoding="utf-8") + AB.read_text(encoding="utf-8")
    silent = [name for name in names_of(ServiceSettings) if not re.search(rf"\b{name}\b", text)]
    assert not silent


# --- The reference ------------------------------------------------------------------------------


def models():
    """Every request and every answer, and what they are made of."""
    kinds = [kind for kind in vars(schemas).values() if isinstance(kind, type)]
    kinds = [kind for kind in kinds if issubclass(kind, BaseModel)]
    bases = {schemas.BaseModel, schemas.Body, schemas.Answer, schemas.Asker, schemas.Shaping}
    page_only = {schemas.Branch, schemas.CodesAnswer, schemas.MapAnswer}
    return [kind for kind in kinds if kind not in bases | page_only]


def section(heading):
    """The text of the API page under a heading."""
    text = API.read_text(encoding="utf-8")
    match = re.search(rf"^###? {re.escape(heading)}$(.*?)(?=^###? |\Z)", text, re.M | re.S)
    assert match, f"docs/guides/api.md has no heading '{heading}'"
    return match[1]


@pytest.mark.parametrize("kind", models(), ids=lambda kind: kind.__name__)
def test_every_field_is_in_the_reference(kind):
    listed = re.findall(r"^\| `(\w+)`", section(kind.__name__), re.MULTILINE)
    assert sorted(listed) == sorted(kind.model_fields)


def test_every_route_is_in_the_reference(address):
    listed = re.findall(r"^\| `([A-Z]+) (\S+?)` \| (\w+) \|", section("Routes"), re.MULTILINE)
    document = httpx.get(f"{address}/openapi.json").json()
    routes = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs}
    assert {(verb, path) for verb, path, _ in listed} == routes
    for verb, path, scope in listed:
        assert scope == (required_scope(verb, path) or "none"), f"{verb} {path}"


def test_parameters_of_addresses_are_in_the_reference(address):
    document = httpx.get(f"{address}/openapi.json").json()
    told = section("Routes")
    for verbs in document["paths"].values():
        for route in verbs.values():
            for parameter in route.get("parameters", ()):
                if parameter["in"] != "path":
                    assert f"`{parameter['name']}`" in told


def test_every_error_code_is_in_the_reference():
    listed = re.findall(r"^\| `(\w+)` \| ([\d, ]+) \| (.+) \|$", section("Errors"), re.MULTILINE)
    assert {code: (statuses, meaning) for code, statuses, meaning in listed} == {
        code: (", ".join(map(str, row.statuses)), row.meaning) for code, row in CODES.items()
    }


def test_every_metric_is_in_the_reference():
    listed = re.findall(r"^\| `(itemlm_\w+)` \| (.*?) \|", section("Metrics"), re.MULTILINE)
    kept = {}
    for metric in Metrics().registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        kept[name] = metric.type
    assert dict(listed) == kept
