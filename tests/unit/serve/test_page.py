"""The page as the server makes it: escaped, with its state in the URL, mistakes told in place."""

import html
import json
import re
import shlex
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

import polars as pl
import pytest

fastapi = pytest.importorskip("fastapi")

from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

import itemlm
from itemlm.serve.app import create_app
from itemlm.serve.http.keys import hash_key
from itemlm.serve.page.assets import STATIC, asset_url, assets
from itemlm.serve.page.state import PageState, item_path
from itemlm.serve.running import open_service
from itemlm.serve.schemas import Branch, CodesAnswer, ItemAnswer

EVIL = "<script>alert('x')</script> & \"quotes\""
STRANGE_IDS = [
    "a/b c",
    "quo\"te's",
    "naïve-日本",
    "50%?#&+",
    "..",
    ".",
    "../../etc",
    "</script><b>",
    "{{7*7}}",
]
HISTORY = "h=the-godfather-1972&h=heat-1995"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service over films, with a second model to compare."""
    home = tmp_path_factory.mktemp("films")
    data = itemlm.world(users=200, items=600).dataset
    for name in ("itemknn", "popularity"):
        itemlm.fit(name, data).save(home / name)
    return open_service([home / "itemknn", home / "popularity"], home=home / "home", dataset=data)


@pytest.fixture(scope="module")
def client(service):
    with TestClient(create_app(service), base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A page over a catalog whose ids and titles mean harm."""
    home = tmp_path_factory.mktemp("strange")
    ids = [*STRANGE_IDS, *(f"plain-{number}" for number in range(12))]
    items = pl.DataFrame(
        {
            "item_id": ids,
            "title": [f"{EVIL} {item}" for item in ids],
            "kind": [EVIL if place % 2 else "o'clock" for place in range(len(ids))],
        }
    )
    events = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(30) for _ in range(4)],
            "item_id": [ids[(user + step) % len(ids)] for user in range(30) for step in range(4)],
            "timestamp": [step * 86_400 for _ in range(30) for step in range(4)],
        }
    )
    data = itemlm.Dataset.from_frames(events, items)
    itemlm.fit("itemknn", data).save(home / "knn")
    service = open_service([home / "knn"], home=home / "home", dataset=data)
    with TestClient(create_app(service), base_url="http://localhost") as client:
        yield client


class Page(HTMLParser):
    """What a browser would make of a page: tags with attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def links(self):
        return [link["href"] for link in self.all("a")]


# --- Pages ----------------------------------------------------------------------------------------

PAGES = ["/", f"/?{HISTORY}&beside=popularity", "/items/heat-1995", "/tree", f"/map?{HISTORY}"]
PAGES += ["/models?first=itemknn&second=popularity", "/health", "/login"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_no_script_no_style_and_nothing_from_elsewhere(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    page = Page(answer.text)
    for script in page.all("script"):
        assert "src" in script or script["type"] == "application/json"
    assert not page.all("style")
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
        for name in ("src", "href", "action", "hx-get", "hx-post"):
            assert attributes.get(name, "/").startswith(("/", "#")), attributes
            assert not attributes.get(name, "/").startswith("//")
    assert len(page.all("h1")) == len(page.all("main")) == 1


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_a_page_leads_somewhere(client, path):
    links = {link for link in Page(client.get(path).text).links if link.startswith("/")}
    for link in sorted(links)[:25]:
        assert client.get(link).status_code == 200, link


def test_a_history_is_answered_by_two_models_beside_each_other(client):
    text = client.get(f"/?{HISTORY}&beside=popularity&k=20").text
    slates = re.split(r'<section class="slate"', text)[1:]
    names = [set(re.findall(r'<h3>.*?href="/items/([^"?]+)', slate)) for slate in slates]
    assert [len(found) for found in names] == [20, 20]
    both = len(names[0] & names[1])
    assert f"{both} in both" in text
    assert text.count("in both · no.") == 2 * both


def test_the_terminal_line_asks_what_the_page_asked(client):
    page = client.get(f"/?{HISTORY}&diversity=0.4&f=genres:crime&filter=year+%3E+1980")
    line = html.unescape(re.search(r'id="curl-text">(.*?)</code>', page.text, re.DOTALL)[1])
    command = shlex.split(line)
    assert command[:2] == ["curl", "http://localhost/v1/recommend"]
    body = json.loads(command[command.index("-d") + 1])
    assert body["filter"] == "year > 1980 and 'crime' in genres"
    answer = client.post("/v1/recommend", json=body).json()
    places = re.findall(r'<span class="place">\d+</span> <a href="/items/([^"?]+)', page.text)
    assert [item["item_id"] for item in answer["items"]] == places


def test_a_wrong_filter_is_told_beside_its_box(client):
    page = client.get(f"/?{HISTORY}&filter=yeer+%3E+3")
    assert page.status_code == 200
    told = re.search(r'id="filter-problem">(.*?)</p>', page.text, re.DOTALL)[1]
    assert "Did you mean &#39;year&#39;?" in told
    (box,) = [field for field in Page(page.text).all("input") if field.get("id") == "filter"]
    assert box["value"] == "yeer > 3"
    assert box["aria-invalid"] == "true"


def test_unknown_items_of_a_history_are_marked(client):
    text = client.get("/?h=nothing-like-it&h=heat-1995").text
    assert text.count("not in the catalog") == 1


def test_a_person_is_loaded_as_a_history(client, service):
    data = service.dataset
    answer = client.get("/visit?user=viewer-007&k=5", follow_redirects=False)
    assert answer.status_code == 303
    state = PageState.of(QueryParams(urlsplit(answer.headers["location"]).query))
    assert list(state.history) == list(data.query("viewer-007").history)[-20:]
    assert (state.user, state.k) == ("viewer-007", 5)


def test_a_person_nobody_knows_is_told_in_place(client):
    answer = client.get(f"/visit?user=nobody&{HISTORY}")
    assert answer.status_code == 404
    assert "Nothing is known of a user &#39;nobody&#39;" in answer.text
    assert answer.text.count('class="chip"') == 2


def test_surprises_are_items_of_the_catalog(client, service):
    answer = client.get("/surprise?k=7", follow_redirects=False)
    state = PageState.of(QueryParams(urlsplit(answer.headers["location"]).query))
    assert len(set(state.history)) == 3
    assert state.k == 7
    assert all(item in service.dataset.items for item in state.history)


def test_suggestions_lead_to_the_history_with_the_item(client):
    page = Page(client.get(f"/suggest?{HISTORY}&k=5&q=pulp+fict").text)
    first = page.all("li")[0]
    assert first["role"] == "option"
    query = urlsplit(first["hx-get"]).query
    assert parse_qsl(query)[-2:] == [("h", "pulp-fiction-1994"), ("k", "5")]
    nothing = client.get("/suggest?q=qqqqxyz").text
    assert "Nothing found" in nothing or 'role="option"' in nothing


def test_only_dials_replace_the_url(client):
    moved = client.get("/?k=10&diversity=0.2&filter=", headers={"HX-Source": "form#dials-form"})
    assert moved.headers["hx-replace-url"] == "/?diversity=0.2"
    clicked = client.get("/?diversity=0.2", headers={"HX-Source": "a#clear"})
    assert "hx-replace-url" not in clicked.headers


def test_what_is_not_there_is_told_on_a_page(client):
    answer = client.get("/items/nothing-like-it")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is no item" in answer.text


# --- Harm -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("item_id", STRANGE_IDS)
def test_items_with_strange_ids_have_pages(strange, item_id):
    answer = strange.get(item_path(item_id))
    assert answer.status_code == 200
    page = Page(answer.text)
    assert f"{EVIL} {item_id}" in "".join(page.texts)
    assert all("src" in script or "type" in script for script in page.all("script"))
    ids = [dict(parse_qsl(urlsplit(link).query)).get("h") for link in page.links]
    assert item_id in ids


def test_strange_items_are_escaped_everywhere(strange):
    history = "&".join(f"h={item}" for item in ("plain-1", "plain-2"))
    for path in (f"/?{history}&q=alert", f"/map?{history}", "/suggest?q=alert", "/models"):
        answer = strange.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
    marks = re.search(r'id="marks">(.*?)</script>', strange.get(f"/map?{history}").text)[1]
    assert set(json.loads(marks)["history"]) == {"plain-1", "plain-2"}
    assert set("<>&'") & set(marks) == set()


def test_facets_with_quotes_filter(strange):
    page = strange.get("/", params={"f": "kind:o'clock", "k": 50})
    assert page.text.count('class="card"') == 11  # every second of 21
    assert 'class="facet on"' in page.text


def test_numbers_as_ids_are_found_by_their_texts(tmp_path):
    events = pl.DataFrame(
        {
            "user_id": [user for user in range(20) for _ in range(3)],
            "item_id": [100 + (user + step) % 10 for user in range(20) for step in range(3)],
            "timestamp": [step for _ in range(20) for step in range(3)],
        }
    )
    data = itemlm.Dataset.from_frames(events)
    itemlm.fit("itemknn", data).save(tmp_path / "knn")
    service = open_service([tmp_path / "knn"], home=tmp_path / "home", dataset=data)
    with TestClient(create_app(service), base_url="http://localhost") as client:
        assert client.get("/items/103").status_code == 200
        text = client.get("/?h=103&h=104").text
        assert "not in the catalog" not in text
        assert client.get("/surprise").status_code == 200
        assert client.get("/map").status_code == 200


# --- The tree -------------------------------------------------------------------------------------


def test_a_model_without_codes_says_so(client):
    text = client.get("/tree").text
    assert "has no Semantic IDs" in text
    assert "No loaded model has such a tree" in text


def test_the_tree_leads_down_to_items(service, client, monkeypatch):
    async def codes(prefix, model=None):
        if prefix:
            leaf = ItemAnswer(
                item_id="heat-1995", fields={"title": "Heat"}, arrived=False, codes=[4, 1]
            )
            return CodesAnswer(model="tiger", prefix=prefix, items=1, branches=[], leaves=[leaf])
        sizes = {code: 50 - code for code in range(40)}
        branches = [Branch(code=code, items=size, titles=["T"]) for code, size in sizes.items()]
        return CodesAnswer(model="tiger", prefix=[], items=sum(sizes.values()), branches=branches)

    monkeypatch.setattr(service, "codes", codes)
    root = Page(client.get("/tree").text)
    assert "8 smaller branches" in " ".join(root.texts)
    assert "/tree?prefix=4" in root.links
    leaf = client.get("/tree?prefix=4.1")
    assert "/items/heat-1995" in Page(leaf.text).links
    assert "4 · 1" in leaf.text


# --- Models, keys, files --------------------------------------------------------------------------


def test_a_model_is_activated_after_a_question_and_rolled_back(client):
    asked = client.get("/models?ask=popularity").text
    assert "Shall <strong>popularity</strong> answer everyone" in asked
    client.post("/models/activate", data={"name": "popularity"})
    assert "<strong>popularity</strong> answers now" in client.get("/models").text
    client.post("/models/activate", data={"name": "itemknn", "back": "1"})
    assert "<strong>itemknn</strong> answers now" in client.get("/models").text
    wrong = client.post("/models/activate", data={"name": "no such"})
    assert wrong.status_code == 400
    assert 'role="alert"' in wrong.text


def test_forms_of_other_sites_are_refused(client):
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = client.post("/models/activate", data={"name": "popularity"}, headers=headers)
        assert answer.status_code == 403
    assert "<strong>itemknn</strong> answers now" in client.get("/models").text


def test_long_forms_are_refused(client):
    assert client.post("/login", data={"key": "x" * 5000}).status_code == 413


def test_a_key_opens_the_pages_by_a_cookie_that_scripts_cannot_read(tmp_path):
    data = itemlm.world(users=30, items=60).dataset
    itemlm.fit("popularity", data).save(tmp_path / "popular")
    service = open_service([tmp_path / "popular"], home=tmp_path / "home")
    service.store.add_key("ann", hash_key("open sesame"), ["read"])
    browser = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    with TestClient(create_app(service), base_url="https://localhost", headers=browser) as client:
        closed = client.get("/map?h=heat-1995", follow_redirects=False)
        assert closed.status_code == 303
        goal = dict(parse_qsl(urlsplit(closed.headers["location"]).query))["next"]
        assert goal == "/map?h=heat-1995"
        wrong = client.post("/login", data={"key": "guess", "next": goal})
        assert wrong.status_code == 401
        assert "not known" in wrong.text
        right = client.post(
            "/login", data={"key": "open sesame", "next": goal}, follow_redirects=False
        )
        assert right.headers["location"] == goal
        cookie = right.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Secure"))
        assert client.get(goal).status_code == 200
        assert "with an admin key" in client.get("/models?ask=popular").text
        assert client.post("/models/activate", data={"name": "popular"}).status_code == 403
        client.post("/logout")
        assert client.get("/map", follow_redirects=False).status_code == 303


def test_files_are_kept_by_browsers_as_long_as_their_version_holds(client):
    versioned = client.get(asset_url("base.css"))
    assert versioned.status_code == 200
    assert "immutable" in versioned.headers["cache-control"]
    plain = client.get("/static/base.css")
    assert plain.headers["cache-control"] == "no-cache"
    again = client.get("/static/base.css", headers={"If-None-Match": plain.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["../routes.py", "%2e%2e/routes.py", "vendor/README.md", ""])
def test_nothing_but_files_of_the_page_is_served(client, name):
    assert client.get(f"/static/{name}").status_code == 404


def test_vendored_libraries_come_with_their_licences():
    for folder in {STATIC / name.rsplit("/", 1)[0] for name in assets() if "vendor/" in name}:
        assert (folder / "LICENSE").stat().st_size > 300
