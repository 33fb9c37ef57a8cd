"""The page in a real browser: what scripts add, under the real Content-Security-Policy.

Needs Playwright (`pip install playwright`) and Chromium as Debian packages it; skipped elsewhere.
Every page is read by axe-core at two widths and in both themes.
"""

import json
import socket
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import polars as pl
import pytest

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

import itemlm
from itemlm.serve.app import create_app
from itemlm.serve.http.keys import hash_key
from itemlm.serve.running import open_service
from itemlm.serve.schemas import Branch, CodesAnswer, ItemAnswer

CHROMIUM = Path("/usr/bin/chromium")
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
HISTORY = "h=the-godfather-1972&h=heat-1995"
EVIL = "<img src=x onerror=document.title='broken'>"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"),
]


def served(service):
    """A running server over a service, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(create_app(service), port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://localhost:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A service over films; its tree of codes is made up, since no small model writes any."""
    home = tmp_path_factory.mktemp("films")
    data = itemlm.world(users=300).dataset
    knn = itemlm.fit("itemknn", data)
    steps = [{"epoch": n, "loss": 3 / n, "validation NDCG@10": n / 9} for n in range(1, 6)]
    knn.card["history"] = steps
    knn.save(home / "itemknn")
    itemlm.fit("popularity", data).save(home / "popularity")
    service = open_service([home / "itemknn", home / "popularity"], home=home / "h", dataset=data)

    async def codes(prefix, model=None):
        leaf = ItemAnswer(item_id="heat-1995", fields={"title": "Heat"}, arrived=False, codes=[4])
        branches = [Branch(code=code, items=90 - code, titles=["A", "B"]) for code in range(40)]
        return CodesAnswer(
            model="made up", prefix=prefix, items=2820, branches=branches, leaves=[leaf]
        )

    service.codes = codes
    return service


@pytest.fixture(scope="module")
def address(films):
    yield from served(films)


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A page in which any error of a script, and any breach of the policy, fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert problems == []


def state(tab):
    """The query of the tab's URL."""
    return parse_qsl(urlsplit(tab.url).query)


def url_comes_to(tab, *expected):
    """Wait until the query is this."""
    wanted = json.dumps([list(pair) for pair in expected])
    tab.wait_for_function(
        "wanted => JSON.stringify([...new URLSearchParams(location.search)]) === wanted",
        arg=wanted.replace('", "', '","').replace("], [", "],["),
    )


# --- Access ---------------------------------------------------------------------------------------

PAGES = {
    "explore": f"/?{HISTORY}&beside=popularity&f=genres:crime",
    "empty": "/",
    "found": "/?q=godfather",
    "wrong filter": "/?filter=yeer+%3E+3",
    "item": f"/items/heat-1995?{HISTORY}",
    "tree": "/tree",
    "map": f"/map?{HISTORY}",
    "models": "/models?ask=popularity&first=itemknn&second=popularity",
    "health": "/health",
    "login": "/login",
}


def grave_findings(page):
    """What axe-core finds that is serious or critical: rules, with the elements."""
    found = page.evaluate(AXE + "; axe.run()")
    assert len(found["passes"]) > 10
    return [
        (rule["id"], [node["html"] for node in rule["nodes"]])
        for rule in found["violations"]
        if rule["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(chromium, address, name, width, theme):
    context = chromium.new_context(
        viewport={"width": width, "height": 760}, color_scheme=theme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address + PAGES[name], wait_until="networkidle" if name != "health" else "load")
    assert page.get_attribute("html", "data-theme") == theme
    found = grave_findings(page)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    context.close()
    assert found == []
    assert wide <= 0, "the page is wider than the screen"


def test_axe_finds_nothing_serious_in_what_opens(tab, address):
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.goto(f"{address}/?{HISTORY}")
    tab.locator("#q").press_sequentially("godf", delay=20)
    tab.wait_for_selector("#suggestions li")
    tab.keyboard.press("ArrowDown")
    assert grave_findings(tab) == []
    tab.keyboard.press("Escape")
    tab.click(".open-dials")
    assert grave_findings(tab) == []


def test_axe_does_find_what_is_wrong(tab, address):
    tab.goto(address + "/login")
    tab.evaluate("document.querySelector('main').append(document.createElement('button'))")
    found = tab.evaluate(AXE + "; axe.run()")
    assert "button-name" in {rule["id"] for rule in found["violations"]}


# --- Exploring ------------------------------------------------------------------------------------


def test_typing_arrows_and_enter_fill_the_history(tab, address):
    tab.goto(address)
    tab.locator("#q").press_sequentially("godf", delay=20)
    tab.wait_for_selector("#suggestions li:nth-child(2)")
    assert tab.get_attribute("#q", "aria-expanded") == "true"
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    assert tab.get_attribute("#q", "aria-activedescendant") == "option-2"
    chosen = tab.inner_text("#option-2 .option-title")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".chip")
    assert tab.inner_text(".chip-title") == chosen
    assert tab.input_value("#q") == ""
    assert tab.evaluate("document.activeElement.id") == "q"
    tab.locator("#q").press_sequentially("heat", delay=20)
    tab.wait_for_selector("#suggestions li")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#suggestions")


def test_every_change_is_in_the_url_and_the_way_back_works(tab, address):
    h1, h2 = ("h", "the-godfather-1972"), ("h", "heat-1995")
    tab.goto(f"{address}/?{HISTORY}")
    tab.focus("#later-0")
    tab.keyboard.press("Enter")
    url_comes_to(tab, h2, h1)
    tab.drag_and_drop(".chip >> nth=0", ".chip >> nth=1")
    url_comes_to(tab, h1, h2)
    tab.focus("#diversity")
    for _ in range(4):
        tab.keyboard.press("ArrowRight")
    url_comes_to(tab, h1, h2, ("diversity", "0.2"))
    assert tab.inner_text("#diversity-shown") == "0.2"
    assert tab.evaluate("document.activeElement.id") == "diversity"
    tab.focus("#remove-0")
    tab.keyboard.press("Enter")
    url_comes_to(tab, h2, ("diversity", "0.2"))
    assert tab.evaluate("document.activeElement.id") == "remove-0"
    tab.go_back()
    url_comes_to(tab, h1, h2, ("diversity", "0.2"))
    tab.wait_for_selector(".chip >> nth=1")
    assert tab.input_value("#diversity") == "0.2"
    assert tab.locator(".chip").count() == 2


def test_a_filter_is_understood_while_it_is_typed(tab, address):
    tab.goto(f"{address}/?{HISTORY}")
    tab.fill("#filter", "yeer > 1990")
    tab.wait_for_selector("#filter-problem:not(:empty)")
    assert "Did you mean 'year'?" in tab.inner_text("#filter-problem")
    tab.fill("#filter", "year > 1990")
    tab.wait_for_selector(".slate .card")
    tab.click(".facet >> nth=1")
    tab.wait_for_selector(".facet.on")
    assert dict(state(tab))["filter"] == "year > 1990"
    assert tab.input_value("#filter") == "year > 1990"
    years = [int(line.split(" · ")[0]) for line in tab.locator(".card .line").all_inner_texts()]
    assert len(years) == 10
    assert min(years) > 1990


def test_two_models_answer_beside_each_other(tab, address):
    tab.goto(f"{address}/?{HISTORY}")
    tab.select_option("#beside", "popularity")
    tab.wait_for_selector(".slates.two .slate:nth-of-type(2)")
    assert tab.locator(".slate").count() == 2
    assert "by itemknn" in tab.inner_text("#told")
    assert tab.get_attribute("#told", "aria-live") == "polite"


def test_dials_are_a_sheet_on_a_phone(tab, address):
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.goto(f"{address}/?{HISTORY}")
    assert not tab.is_visible("#novelty")
    tab.click(".open-dials")
    tab.focus("#novelty")
    tab.keyboard.press("ArrowRight")
    url_comes_to(tab, *parse_qsl(HISTORY), ("novelty", "0.05"))
    assert tab.is_visible("#novelty")
    tab.click(".close-dials")
    assert not tab.is_visible("#novelty")


def test_the_theme_is_remembered(tab, address):
    tab.goto(address)
    tab.click("#theme")
    assert tab.get_attribute("html", "data-theme") == "dark"
    assert tab.get_attribute("#theme", "aria-pressed") == "true"
    tab.reload()
    assert tab.get_attribute("html", "data-theme") == "dark"


def test_a_failed_exchange_leaves_the_page_and_says_why(chromium, address):
    context = chromium.new_context()
    tab = context.new_page()
    tab.goto(f"{address}/?{HISTORY}")
    problem = {"error": {"code": "rate_limited", "message": "Too many.", "request_id": "1"}}
    tab.route("**/*diversity=0.05&*", lambda route: route.fulfill(status=429, json=problem))
    tab.route("**/*diversity=0.1&*", lambda route: route.abort())
    tab.focus("#diversity")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector("text=Too many. What you see is from before.")
    assert tab.locator(".slate .card").count() == 10
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector("text=The service cannot be reached.")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector("#problem-bar:empty", state="attached")
    url_comes_to(tab, *parse_qsl(HISTORY), ("diversity", "0.15"))
    context.close()


def test_explore_works_without_scripts(chromium, address):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/?h=heat-1995")
    page.fill("#q", "godfather")
    page.press("#q", "Enter")
    page.click(".found .add >> nth=0")
    assert page.locator(".chip").count() == 2
    page.select_option("#beside", "popularity")
    page.click("text=Apply")
    assert page.locator(".slate").count() == 2
    context.close()


# --- Other pages ----------------------------------------------------------------------------------


def test_the_map_is_painted_moved_and_opened(tab, address):
    tab.goto(f"{address}/map?{HISTORY}")
    tab.wait_for_selector("#in-view li")
    painted = "document.getElementById('map').toDataURL().length"
    before = tab.evaluate(painted)
    assert before > 5000
    head = tab.inner_text("#in-view-head")
    tab.focus("#map")
    for _ in range(6):
        tab.keyboard.press("+")
    tab.wait_for_function(
        "head => document.getElementById('in-view-head').innerText !== head", arg=head
    )
    tab.fill("#map-q", "casablanca")
    tab.keyboard.press("Enter")
    assert tab.inner_text("#map-found") == "Casablanca"
    tab.wait_for_function("() => document.querySelector('#in-view a')?.innerText === 'Casablanca'")
    box = tab.locator("#map").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.move(*middle)
    assert tab.inner_text("#map-hover") == "Casablanca"
    tab.mouse.click(*middle)
    tab.wait_for_url("**/items/casablanca-1942?**")
    assert state(tab) == parse_qsl(HISTORY)


def test_charts_are_drawn_and_told_in_a_table(tab, address):
    tab.goto(f"{address}/models")
    tab.wait_for_selector(".chart canvas")
    tab.click(".numbers summary")
    assert tab.inner_text(".numbers tbody tr >> nth=0").split() == ["1", "0.1111"]


def test_health_is_live_until_it_is_paused(tab, address):
    tab.goto(f"{address}/health")
    seconds = "Number(document.getElementById('live').dataset.seconds)"
    first = tab.evaluate(seconds)
    tab.wait_for_function(f"() => {seconds} > {first}", timeout=5000)
    tab.click("#pause")
    tab.wait_for_timeout(200)
    paused = tab.evaluate(seconds)
    tab.wait_for_timeout(2500)
    assert tab.evaluate(seconds) == paused


def test_a_model_is_activated_by_a_form_of_our_own(tab, address):
    tab.goto(f"{address}/models?ask=popularity")
    with tab.expect_request("**/models/activate") as sent:
        tab.click("text=Activate >> nth=0")
    # The layer below refuses forms whose origin is hidden or foreign.
    assert sent.value.header_value("origin") == address
    tab.wait_for_selector("text=popularity answers now")
    tab.goto(f"{address}/models?ask=itemknn")
    tab.click("text=Roll back >> nth=0")
    tab.wait_for_selector("text=itemknn answers now")


# --- Harm -----------------------------------------------------------------------------------------


def test_titles_and_ids_that_mean_harm_do_nothing(tab, tmp_path):
    ids = [f"{EVIL}/{number}'\"" for number in range(15)]
    items = pl.DataFrame({"item_id": ids, "title": [f"{EVIL} title {n}" for n in range(15)]})
    events = pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(30) for _ in range(4)],
            "item_id": [ids[(user + step) % 15] for user in range(30) for step in range(4)],
            "timestamp": [step * 86_400 for _ in range(30) for step in range(4)],
        }
    )
    data = itemlm.Dataset.from_frames(events, items)
    itemlm.fit("itemknn", data).save(tmp_path / "knn")
    running = served(open_service([tmp_path / "knn"], home=tmp_path / "home", dataset=data))
    address = next(running)
    try:
        tab.goto(address)
        tab.locator("#q").press_sequentially("title", delay=20)
        tab.wait_for_selector("#suggestions li")
        tab.keyboard.press("Enter")
        tab.wait_for_selector(".chip")
        tab.click(".chip-title")
        tab.wait_for_url("**/items/**")
        assert EVIL in tab.inner_text("h1")
        tab.click("text=Map")
        tab.wait_for_selector("#in-view a")
        assert EVIL in tab.inner_text("#in-view a >> nth=0")
        tab.click("#in-view a >> nth=0")
        tab.wait_for_url("**/items/**")
        assert EVIL in tab.inner_text("h1")
        assert tab.title() != "broken"
        assert tab.locator("img").count() == 0
    finally:
        next(running, None)


def test_a_key_opens_the_page_until_one_signs_out(tab, tmp_path):
    data = itemlm.world(users=30, items=60).dataset
    itemlm.fit("popularity", data).save(tmp_path / "popular")
    service = open_service([tmp_path / "popular"], home=tmp_path / "home", dataset=data)
    service.store.add_key("ann", hash_key("open sesame"), ["read"])
    running = served(service)
    address = next(running)
    try:
        tab.goto(f"{address}/?k=5")
        tab.fill("#key", "open sesame")
        tab.keyboard.press("Enter")
        tab.wait_for_selector(".card")
        assert state(tab) == [("k", "5")]
        assert tab.evaluate("document.cookie") == ""
        tab.click("text=Sign out")
        tab.wait_for_selector("#key")
        tab.goto(f"{address}/map")
        tab.wait_for_selector("#key")
    finally:
        next(running, None)
