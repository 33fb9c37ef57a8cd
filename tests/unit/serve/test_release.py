"""Release: item changes make the next one, and the one before stays what it was."""

from datetime import date

import numpy as np
import polars as pl
import pytest

import itemlm
from itemlm.data.vocabulary import query_batch
from itemlm.serve.release import Release
from itemlm.serve.rules.tree import RuleError
from itemlm.types import Query


@pytest.fixture(scope="module")
def release(films, tmp_path_factory):
    """ItemKNN over the films, before anything changed."""
    counts = {"heat-1995": 7, "alien-1979": 9, "grease-1978": 9}
    folder = tmp_path_factory.mktemp("vectors")
    return Release.of("knn", films.knn, counts, encoder="lsa", folder=folder)


def like_alien(release):
    """The fields of Alien under another title, as an item that arrives."""
    row = int(release.catalog.items.rows(["alien-1979"])[0])
    fields = release.fields([row])[0]
    return {name: value for name, value in fields.items() if value is not None}


def best(release, history, k=100):
    """Item ids, best first."""
    return release.live.recommend(history, k=k).items


def test_fresh_it_answers_like_its_model(release, films):
    history = films.data.query("viewer-001").history[:5]
    assert release.live.recommend(history, k=20) == films.knn.recommend(history, k=20)
    assert len(release.catalog) == 60
    assert release.codes_NL is None
    assert release.parameters == films.knn.parameters


def test_popularity_is_the_share_that_is_taken_as_often_or_less(release):
    share = dict(zip(release.catalog.items.ids, release.popularity_N, strict=True))
    assert share["alien-1979"] == share["grease-1978"] == 1
    assert len(release.counts_N) == 60
    if "heat-1995" in share:
        assert share["heat-1995"] == 58 / 60
    assert min(share.values()) == pytest.approx(np.mean(release.counts_N == 0))


def test_an_arrived_twin_stands_beside_its_original(release):
    later = release.changed([("new", like_alien(release))])
    row = int(later.catalog.items.rows(["new"])[0])
    assert row == 60
    assert later.titles([row]) == ["Alien"]
    stand_in = later.live.stand_ins_AM[0, 0]
    assert later.catalog.items.ids[int(stand_in)] == "alien-1979"
    assert later.live.similarity_AM[0, 0] == pytest.approx(1)
    items = best(later, ["star-wars-1977"])
    assert items.index("new") == items.index("alien-1979") + 1
    assert later.words.search("alien", 5, ~later.removed_N)[0].tolist().count(60) == 1
    # The one before knows nothing of it, though both share the index of words.
    assert "new" not in best(release, ["star-wars-1977"])
    assert 60 not in release.words.search("alien", 5, ~release.removed_N)[0].tolist()


def test_changes_add_up_over_releases(release):
    one = release.changed([("new-1", like_alien(release))])
    two = one.changed([("new-2", {"title": "Grease"}), ("alien-1979", {"year": 1980})])
    three = two.changed([("new-1", None), ("grease-1978", None)])
    assert len(three.catalog) == 62
    assert set(best(three, [])) == set(three.catalog.items.ids) - {"new-1", "grease-1978"}
    assert three.fields([2], ["year"]) == [{"year": 1980}]
    back = three.changed([("new-1", {"title": "Aliens"})])
    assert "new-1" in best(back, [])
    assert back.fields([60], ["title", "director"]) == [
        {"title": "Aliens", "director": "Ridley Scott"}
    ]
    assert len(back.counts_N) == len(back.index) == 62


def test_a_change_of_words_changes_what_is_alike(release):
    later = release.changed([("new", like_alien(release))])
    grease = release.fields([int(release.catalog.items.rows(["grease-1978"])[0])])[0]
    later = later.changed([("new", {**dict.fromkeys(like_alien(release)), **grease})])
    assert later.catalog.items.ids[int(later.live.stand_ins_AM[0, 0])] == "grease-1978"


def test_masks_are_kept_and_follow_changes(release):
    mask_N = release.mask("year >= 1990")
    assert release.mask("year >= 1990") is mask_N
    assert mask_N.tolist() == (release.catalog.table["year"] >= 1990).to_list()
    later = release.changed([("alien-1979", {"year": 2020})])
    row = int(release.catalog.items.rows(["alien-1979"])[0])
    assert later.mask("year >= 1990")[row]
    assert not release.mask("year >= 1990")[row]
    with pytest.raises(RuleError):
        release.mask("yeer >= 1990")


def test_fields_are_what_json_can_hold(tmp_path):
    table = pl.DataFrame(
        {
            "item_id": [1, 2],
            "day": [date(2026, 1, 31), None],
            "price": [float("nan"), 2.5],
        }
    )
    model = itemlm.fit(
        "popularity",
        itemlm.Dataset.from_frames(
            pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "timestamp": [1, 2]}), table
        ),
        quiet=True,
    )
    release = Release.of("numbers", model, {"2": 4}, encoder="lsa", folder=tmp_path)
    assert release.fields([0, 1]) == [
        {"day": "2026-01-31", "price": None},
        {"day": None, "price": 2.5},
    ]
    assert release.fields([0], ["price", "nowhere", "item_id"]) == [{"price": None}]
    assert release.fields([0, 1], ["nowhere"]) == [{}, {}]
    assert release.titles([1]) == ["2"]
    assert release.counts_N.tolist() == [0, 4]


def test_without_texts_nothing_stands_in_but_all_else_goes_on(tmp_path):
    events = pl.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 2], "timestamp": [1, 2, 3]})
    bare = itemlm.fit("popularity", itemlm.Dataset.from_frames(events), quiet=True)
    release = Release.of("bare", bare, {}, encoder="lsa", folder=tmp_path)
    assert (release.texts, release.index) == (None, None)
    later = release.changed([(3, {"title": "new"}), (1, None)])
    assert best(later, []) == [2]
    assert later.words.search("new", 3, ~later.removed_N)[0].tolist() == [2]
    batch = query_batch([Query(history=[3])], later.catalog.items)
    assert later.live.topk(batch, 3)[0].tolist() == [[1, -1, -1]]
