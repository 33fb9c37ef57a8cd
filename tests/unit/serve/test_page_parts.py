"""The parts of the page that need no server: its state, its words, its colors and filters."""

import json
import re
from typing import get_args
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

pytest.importorskip("fastapi")

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from itemlm.serve.page import words
from itemlm.serve.page.assets import STATIC
from itemlm.serve.page.browse import curves, prefix_of
from itemlm.serve.page.look import Look
from itemlm.serve.page.signing_in import own_path
from itemlm.serve.page.state import PageState, item_path
from itemlm.serve.schemas import Fallback, RecommendAnswer

# --- State ----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@given(
    st.builds(
        PageState,
        history=st.lists(TEXT.filter(bool), unique=True, max_size=5).map(tuple),
        user=TEXT,
        model=TEXT,
        beside=TEXT,
        k=st.integers(1, 50),
        diversity=st.sampled_from([0, 0.05, 0.5, 1]),
        novelty=st.sampled_from([0, 0.35, 1]),
        again=st.booleans(),
        plain=st.booleans(),
        filter=TEXT.map(str.strip),
        facets=st.lists(
            st.tuples(TEXT.filter(lambda text: ":" not in text), TEXT), unique=True, max_size=3
        ).map(tuple),
        q=TEXT.map(str.strip),
    )
)
def test_every_state_comes_back_from_its_url(state):
    assert PageState.of(QueryParams(urlsplit(state.url()).query)) == state


def test_defaults_are_not_written():
    assert PageState().url() == "/"
    assert PageState(history=("a b",), k=10, diversity=0.5).url() == "/?h=a+b&diversity=0.5"


def test_what_a_url_says_wrongly_is_moved_into_its_bounds():
    state = PageState.of(QueryParams("k=9999&diversity=-3&novelty=nan&f=nocolon&again=yes"))
    assert state == PageState(k=50)


def test_history_is_changed_place_by_place():
    state = PageState(history=("a", "b", "c"))
    assert state.moved(0, 1).history == ("b", "a", "c")
    assert state.moved(0, -1).history == ("a", "b", "c")
    assert state.without_item(1).history == ("a", "c")
    assert state.with_item("a").history == ("b", "c", "a")


@given(TEXT.filter(bool))
def test_the_path_of_an_item_is_one_segment_that_browsers_leave_alone(item_id):
    parts = urlsplit(item_path(item_id))
    if parts.query:
        assert dict(parse_qsl(parts.query)) == {"id": item_id}
    else:
        assert parts.path.count("/") == 2
        assert parts.path.rpartition("/")[2] not in {".", ".."}
        assert unquote(parts.path.removeprefix("/items/")) == item_id


def test_where_a_login_leads_is_never_another_site():
    assert own_path("/map?h=a") == "/map?h=a"
    for foreign in ("https://evil.example", "//evil.example", "/\\evil.example", "x", "/a\nb"):
        assert own_path(foreign) == "/"


# --- Words ----------------------------------------------------------------------------------------


def test_monogram_skips_small_words_and_keeps_apostrophes_together():
    assert words.monogram("The Lord of the Rings") == "LR"
    assert words.monogram("Ocean's Eleven") == "OE"
    assert words.monogram("日本") == "日"
    assert words.monogram("!?") == "·"
    assert words.monogram("The") == "T"


def test_bars_are_relative_to_the_slate():
    assert words.shares([3.0, 2.0, 1.0]) == [100, 54, 8]  # 8 + 92 / 2
    assert words.shares([-1.0, None]) == [100, None]


def test_colors_of_groups_are_the_same_in_slates_and_on_the_map():
    script = (STATIC / "map-paint.js").read_text()
    order = tuple(json.loads(re.search(r"order: (\[.*?\])", script)[1]))
    assert order == words.TONE_ORDER
    assert words.tone("b", ["a", "b"]) == f"tone-{order[1]}"
    assert words.tone("", ["a"]) == "tone-none"
    assert words.tone("rare", ["a"]) == words.tone("rare", ["b"])


def test_the_color_of_an_item_is_that_of_its_first_frequent_group():
    look = Look(
        title=None,
        shown=[],
        group="path",
        groups=["hair", "skin"],
        facets={},
        lists=frozenset({"path"}),
        truths=frozenset(),
    )
    first, second = (f"tone-{words.TONE_ORDER[place]}" for place in (0, 1))
    assert look.tone_of({"path": ["beauty", "skin", "hair"]}) == second
    assert look.tone_of({"path": ["hair"]}) == first
    assert look.tone_of({"path": []}) == look.tone_of({}) == look.tone_of(None) == "tone-none"


def told(source, fallback=None):
    answer = RecommendAnswer(
        recommendation_id="1", items=[], model="tiger", source=source, fallback=fallback
    )
    return words.source_in_words(answer)


def test_who_made_a_slate_is_told_in_a_sentence_or_two():
    assert told("model") == "Ranked by tiger."
    assert told("popularity", Fallback(to="popularity", reason="no_history")) == (
        "You see what is popular, since nothing is known yet to go on."
    )


def test_every_source_and_fallback_has_words():
    for source in get_args(RecommendAnswer.model_fields["source"].annotation):
        assert told(source)
        for to in get_args(Fallback.model_fields["to"].annotation):
            for reason in get_args(Fallback.model_fields["reason"].annotation):
                assert told(source, Fallback(to=to, reason=reason)).endswith(".")


def test_facets_and_filter_become_one_expression():
    look = Look(
        title=None,
        shown=[],
        group=None,
        groups=[],
        facets={"genres": ["war"], "my brand": ["O'Neil"], "new": ["true"]},
        lists=frozenset({"genres"}),
        truths=frozenset({"new"}),
    )
    facets = (("genres", "war"), ("genres", "crime"), ("my brand", "O'Neil"), ("new", "true"))
    assert look.expression(PageState(facets=facets[:1])) == "'war' in genres"
    assert look.expression(PageState(filter="a or b", facets=facets)) == (
        "(a or b) and ('war' in genres or 'crime' in genres)"
        " and `my brand` == 'O\\'Neil' and new == true"
    )
    assert look.expression(PageState(facets=(("unknown", "x"),))) is None


def test_a_curve_is_of_validation_and_of_loss_where_nothing_was_validated():
    both = [{"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2, "validation NDCG@10": 0.1}]
    both.append({"epoch": 3, "loss": 1, "validation NDCG@10": 0.2})
    chart = curves({"history": both})
    assert chart["x"]["values"] == [2, 3]
    assert chart["series"] == [{"label": "validation NDCG@10", "values": [0.1, 0.2]}]
    assert curves({"history": both[:1] * 2})["series"][0]["label"] == "loss"
    assert curves({"history": []}) is None
    assert curves({"history": "broken"}) is None


def test_codes_of_a_url_end_where_they_are_none():
    assert prefix_of("12.7.3") == [12, 7, 3]
    assert prefix_of("12.x.3") == [12]
    assert prefix_of("") == prefix_of("²") == prefix_of("-1") == []
