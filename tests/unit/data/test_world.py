"""The demo world: its films, its diaries, and an oracle that is exactly right about them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import chisquare, norm

from itemlm.data.splits import LeaveOneOut
from itemlm.data.vocabulary import query_batch
from itemlm.data.world import World, films, next_films, world
from itemlm.data.world_films import cinema
from itemlm.data.world_law import (
    BREADTH,
    CURIOSITY,
    FAME,
    MOOD,
    RECENCY,
    SERIES,
    TASTE,
    WHIM,
    Choices,
    Law,
    Viewers,
)
from itemlm.data.world_oracle import Oracle
from itemlm.data.world_shelves import has_trait, shelf_names, shelve
from itemlm.encode.lsa import LSA
from itemlm.text.describe import describe
from itemlm.types import ConfigError, DataError, Query, QueryBatch


@pytest.fixture(scope="module")
def small() -> World:
    """Many viewers of few films: every film is watched often."""
    return world(users=4000, items=40, seed=3, mean_history=12)


@pytest.fixture(scope="module")
def medium() -> World:
    return world(users=1500)


def batch_of(*histories: list[int], viewers: list[int]) -> QueryBatch:
    return QueryBatch(
        offsets=np.cumsum([0, *map(len, histories)]),
        item_rows=np.array([row for history in histories for row in history], dtype=np.int64),
        user_rows=np.array(viewers),
    )


def every_step(of: World, limit: int) -> tuple[QueryBatch, np.ndarray]:
    """A query before each event of the first viewers, and the film that they watched next."""
    offsets, rows = of.dataset.sequences.offsets, of.dataset.sequences.item_rows
    histories, viewers, answers = [], [], []
    for viewer in range(limit):
        diary = rows[offsets[viewer] : offsets[viewer + 1]].tolist()
        for step, film in enumerate(diary):
            histories.append(diary[:step])
            viewers.append(viewer)
            answers.append(film)
    return batch_of(*histories, viewers=viewers), np.array(answers)


# --- Films --------------------------------------------------------------------------------------


def test_real_films_are_a_clean_catalog():
    table = films()
    assert table.columns == ["item_id", "title", "year", "director", "genres", "themes", "series"]
    assert table.height > 1000
    assert table["item_id"].is_unique().all()
    assert table["item_id"].str.contains(r"^[a-z0-9]+(-[a-z0-9]+)*-(19|20)\d\d$").all()
    assert table["year"].is_sorted()
    assert table.drop("series").null_count().sum_horizontal().item() == 0
    for column, least in (("genres", 1), ("themes", 2)):
        assert table[column].list.len().min() >= least
        assert (table[column].list.n_unique() == table[column].list.len()).all()


def test_themes_and_series_connect_films():
    themes = films()["themes"].explode().value_counts()
    assert themes["count"].min() >= 3
    assert films()["series"].drop_nulls().value_counts()["count"].min() >= 2


def test_a_known_film():
    found = films().row(by_predicate=pl.col("item_id") == "the-godfather-1972", named=True)
    assert found["title"] == "The Godfather"
    assert found["director"] == "Francis Ford Coppola"
    assert "gangsters" in found["themes"]


def test_small_catalogs_hold_the_most_famous_films():
    fifty, hundred = cinema(50), cinema(100)
    assert set(fifty.table["item_id"]) < set(hundred.table["item_id"])
    assert fifty.home["fame"].min() == 5
    assert hundred.home["fame"].min() == 4
    assert "star-wars-1977" in hundred.table["item_id"]
    assert hundred.table["year"].is_sorted()


def test_large_catalogs_go_on_with_imaginary_countries():
    real = films().height
    table = cinema(2 * real + 500).table
    assert table.height == 2 * real + 500
    assert table["item_id"].is_unique().all()
    assert table[:real].equals(films())
    abroad = table[real : 2 * real]
    assert abroad["title"].str.contains(r"^The [A-Z][a-z]+ [A-Z][a-z]+( [IVX]+)?$").all()
    # A country mirrors the real films, and adds its name to their themes.
    assert abroad["year"].equals(films()["year"])
    assert abroad["genres"].equals(films()["genres"])
    country = abroad["themes"].list.last().unique().item()
    assert re.fullmatch("[a-z]+", country)
    assert abroad["item_id"].str.ends_with(f"-{country}").all()
    # Its series have as many parts as ours, under one name each.
    ours, theirs = (part["series"].drop_nulls().value_counts() for part in (films(), abroad))
    assert sorted(ours["count"]) == sorted(theirs["count"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": 0}, "users is 0"),
        ({"items": 3}, "items is 3"),
        ({"items": 10**8}, "items is 100000000"),
        ({"mean_history": 2}, "mean_history is 2"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_worlds_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        world(**arguments)


# --- Shelves ------------------------------------------------------------------------------------


def test_shelves_hold_what_belongs_together():
    table = films()
    shelf = shelve(table)
    sizes = np.bincount(shelf)
    assert len(sizes) == 36
    assert 10 <= sizes.min() <= sizes.max() <= 80
    # Two films of a shelf share many more themes and genres than two of different shelves.
    together = shelf[:, None] == shelf
    np.fill_diagonal(together, False)
    for column, ratio in (("genres", 2), ("themes", 4)):
        has = has_trait(table, column).astype(int)
        shared = has @ has.T
        assert (
            shared[together].mean()
            > ratio * shared[~together & ~np.eye(len(has), dtype=bool)].mean()
        )


def test_shelves_are_ranked_from_light_to_grave():
    table = films()
    shelf = shelve(table)
    comic = table["genres"].list.contains("comedy").to_numpy()
    crime = table["genres"].list.contains("crime").to_numpy()
    assert comic[shelf < 9].mean() > 2 * comic[shelf >= 27].mean()
    assert crime[shelf >= 27].mean() > 2 * crime[shelf < 9].mean()


def test_shelves_are_named_by_what_sets_them_apart():
    table = films()
    shelf = shelve(table)
    names = shelf_names(table, shelf)
    assert len(set(names)) == len(names) == 36
    row = table["item_id"].index_of("goodfellas-1990")
    assert names[shelf[row]] == "crime, gangsters, heist"


def test_the_catalog_names_shelves_at_home_and_abroad():
    catalog = world(users=10, items=2 * films().height).dataset.catalog
    assert catalog["shelf"][: films().height].equals(catalog["shelf"][films().height :])


def test_similar_texts_stand_on_the_same_shelf():
    pytest.importorskip("sklearn", reason="LSA needs scikit-learn")
    catalog = world(users=10).dataset.catalog
    vectors = LSA().encode(describe(catalog))
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -1)
    nearest = catalog["shelf"][cosine.argmax(1).tolist()]
    assert (nearest == catalog["shelf"]).mean() > 0.8


# --- Diaries ------------------------------------------------------------------------------------


def test_the_default_world():
    made = world()
    dataset = made.dataset
    assert (dataset.name, len(dataset.users), len(dataset.items)) == ("demo", 6000, films().height)
    assert 110_000 < len(dataset.sequences.item_rows) < 130_000
    assert dataset.users.ids[0] == "viewer-0001"
    assert dataset.catalog.drop("shelf").equals(films())
    # Popularity has a long tail: the most watched tenth of the films takes over a quarter.
    watched = np.sort(dataset.item_counts)[::-1]
    assert watched[: len(watched) // 10].sum() > 0.25 * watched.sum()


@pytest.mark.parametrize("items", [10, 40, None, 2500])
def test_nobody_sees_a_film_twice(items):
    dataset = world(users=300, items=items, mean_history=30).dataset
    pairs = dataset.events.select("user_id", "item_id")
    assert pairs.n_unique() == pairs.height
    lengths = dataset.sequences.lengths
    assert lengths.min() >= 5
    assert lengths.max() <= min(365, len(dataset.items) // 2)


def test_lengths_have_the_wanted_mean():
    assert world(users=3000, mean_history=50).dataset.sequences.lengths.mean() == pytest.approx(
        50, rel=0.1
    )


def test_films_begin_on_different_evenings_of_two_years():
    sequences = world(users=500, mean_history=60).dataset.sequences
    same_user = np.diff(sequences.user_rows) == 0
    days = sequences.timestamps // 86_400_000
    assert (np.diff(days)[same_user] >= 1).all()
    times = sequences.timestamps.astype("datetime64[ms]")
    assert times.min() >= np.datetime64("2024-01-01")
    assert times.max() < np.datetime64("2026-01-01")
    hours = sequences.timestamps // 3_600_000 % 24
    assert (hours.min(), hours.max()) == (17, 22)


def test_same_arguments_same_world():
    first, again, other = (world(users=200, items=100, seed=seed).dataset for seed in (5, 5, 6))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert (first.sequences.timestamps == again.sequences.timestamps).all()
    assert first.catalog.equals(other.catalog)
    assert first.fingerprint == "34d038e3b8a5"  # on every machine


# --- The law, by hand ---------------------------------------------------------------------------


def test_choices_draw_and_spread():
    # Two lists over three films: 1/4 and 3/4 of films 0 and 2, and film 1 for certain.
    choices = Choices.of(np.array([[1.0, 0, 3], [0, 5, 0]]))
    drawn = choices.draw(np.array([0, 0, 0, 1, 1]), np.array([0, 0.24, 0.25, 0, 0.999]))
    assert drawn.tolist() == [0, 0, 2, 1, 1]
    place, film, probability = choices.spread(np.array([1, 0, 0]))
    assert place.tolist() == [0, 1, 1, 2, 2]
    assert film.tolist() == [1, 0, 2, 0, 2]
    assert probability.tolist() == [1, 0.25, 0.75, 0.25, 0.75]


def tiny_law() -> Law:
    """Five films on shelves {0, 4}, {3} and {1, 2}; 0, 1 and 2 are a series; one viewer."""
    return Law(
        country_N=np.zeros(5, dtype=np.int64),
        film_N=np.arange(5),
        row_CR=np.arange(5)[None],
        successor_N=np.array([1, 2, 0, 3, 4]),
        pull_N=np.array([CURIOSITY, 1, 1, 1, 1]),
        shelf_R=np.array([0, 2, 2, 1, 0]),
        contrast_L=np.array([1, 2, 0]),
        shelves=Choices.of(np.array([[1.0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 3, 1, 0, 0]])),
        fame_R=np.array([0.5, 0.2, 0.1, 0.1, 0.1]),
        fame_C=np.ones(1),
        viewers=Viewers(
            shelf_US=np.array([[0, 1]]),
            country_US=np.zeros((1, 2), dtype=np.int64),
            start_U=np.array([0.0]),
            speed_U=np.array([0.25]),
        ),
    )


def test_moods_take_turns_until_it_is_enough():
    # (last, before): 3 after 0 leads back to the shelf of 0, 0 after 3 to the shelf of 3; but 0 and
    # 4 stand on one shelf, 0, whose contrast is 1.
    shelf, country = tiny_law().mood(np.array([3, 0, 4]), np.array([0, 3, 0]))
    assert shelf.tolist() == [0, 1, 1]
    assert country.tolist() == [0, 0, 0]


def test_the_same_shelf_of_another_country_is_another_mood():
    # Ten films as two countries of five: 5 to 9 mirror 0 to 4. From 4 back to their shelf 0.
    abroad = replace(tiny_law(), country_N=np.repeat([0, 1], 5), film_N=np.tile(np.arange(5), 2))
    shelf, country = abroad.mood(np.array([4, 9]), np.array([5, 5]))
    assert shelf.tolist() == [0, 1]  # back to it; or its contrast, after 5 and 9
    assert country.tolist() == [1, 1]


def test_a_series_is_followed_in_order_and_then_from_its_start():
    history = np.array([[0, -1, -1], [2, -1, -1], [0, 1, -1], [0, 1, 2], [3, -1, -1], [-1, -1, -1]])
    sequel = tiny_law().sequel(np.array([0, 2, 0, 2, 3, -1]), history)
    # After 0 comes 1; after the last part the first; a seen part is skipped; then nothing is left.
    assert sequel.tolist() == [1, 0, 2, -1, -1, -1]


def test_taste_walks_along_the_path():
    taste = tiny_law().viewers.taste(np.zeros(3, dtype=np.int64), np.array([0, 2, 4]))
    # After 0, 2 and 4 films the viewer stands at 0, 1/2 and 1: on shelf 0, between, on shelf 1.
    away = np.exp(-0.5 / BREADTH**2)
    assert taste[0] == pytest.approx([1 / (1 + away), away / (1 + away)])
    assert taste[1] == pytest.approx([0.5, 0.5])
    assert taste[2] == pytest.approx(taste[0][::-1])


def test_probabilities_by_hand():
    law = tiny_law()
    batch = batch_of([1, 0], [0, 4], [3], viewers=[0, 0, 0])
    turns, enough, first = Oracle(law).probabilities(batch)
    last, before = RECENCY
    always = WHIM / 5 + FAME * np.array([0.5, 0.2, 0.1, 0.1, 0.1])
    half_way = TASTE * 0.5 * np.array([0.5, 0, 0, 1, 0.5])  # between both places, after two films

    habits = always + half_way
    habits[2] += SERIES * last * CURIOSITY  # 0, the first part, leads to 2, because 1 was seen
    habits[2] += SERIES * before  # so does 1
    habits[2] += MOOD * 0.25  # back to the shelf of 1, which holds 3/4 of 1 and 1/4 of 2
    habits[[1, 0]] = 0
    assert turns == pytest.approx(habits / habits.sum())

    habits = always + half_way
    habits[1] += SERIES * before * CURIOSITY  # 4 stands alone
    habits[3] += MOOD  # two films of shelf 0 lead to shelf 1
    habits[[0, 4]] = 0
    assert enough == pytest.approx(habits / habits.sum())

    # One film is no mood yet; the viewer stands at 1/4 of the way from the first place.
    love = np.exp(-0.5 * (np.array([0.25, 0.75]) / BREADTH) ** 2)
    love /= love.sum()
    habits = always + TASTE * np.array([0.5 * love[0], 0, 0, love[1], 0.5 * love[0]])
    habits[3] = 0
    assert first == pytest.approx(habits / habits.sum())


def test_draws_follow_the_probabilities():
    # One viewer with one history, drawn 200,000 times: the counts pass a chi-square test.
    made = world(users=20, items=60, seed=2)
    viewers, rows = np.arange(20), made.dataset.sequences.item_rows
    for viewer, steps in ((4, 3), (11, 1), (17, 0)):
        start = made.dataset.sequences.offsets[viewer]
        history = rows[start : start + steps]
        expected = made.oracle.probabilities(batch_of(history.tolist(), viewers=[viewer]))[0]
        drawn = next_films(
            made.oracle._law,
            np.repeat(viewers[viewer], 200_000),
            np.tile(history, (200_000, 1)),
            np.random.default_rng(steps),
        )
        counts = np.bincount(drawn, minlength=60)
        possible = expected > 0
        assert counts[~possible].sum() == 0
        assert chisquare(counts[possible], expected[possible] * 200_000).pvalue > 0.001


# --- The oracle ---------------------------------------------------------------------------------


def test_probabilities_sum_to_one_over_unseen_films(small):
    batch, _ = every_step(small, limit=50)
    found = small.oracle.probabilities(batch)
    assert found.sum(1) == pytest.approx(np.ones(len(batch)))
    assert (found[batch.query_of_event, batch.item_rows] == 0).all()
    seen = np.zeros_like(found, dtype=bool)
    seen[batch.query_of_event, batch.item_rows] = True
    assert (found[~seen] > 0).all()


def test_diaries_agree_with_the_oracle(small):
    # Of all predictions near 5 % about 5 % come true, and so on; and each film is watched as often
    # as the oracle expects. Both within four standard errors, sqrt(sum of p (1 - p)).
    batch, answers = every_step(small, limit=2000)
    expected = small.oracle.probabilities(batch)
    happened = np.zeros_like(expected)
    happened[np.arange(len(answers)), answers] = 1
    variance = expected * (1 - expected)
    for film in range(expected.shape[1]):
        surplus = happened[:, film].sum() - expected[:, film].sum()
        assert abs(surplus) < 4 * np.sqrt(variance[:, film].sum())
    bins = np.digitize(expected, [0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
    for number in np.unique(bins):
        inside = bins == number
        surplus = happened[inside].sum() - expected[inside].sum()
        assert abs(surplus) <= 4 * np.sqrt(variance[inside].sum())


def test_the_oracle_is_right_abroad():
    # The same with imaginary countries, the last of which lacks films: by total log-likelihood,
    # whose expectation and variance follow from the probabilities themselves.
    made = world(users=400, items=1500, mean_history=8)
    batch, answers = every_step(made, limit=400)
    expected = made.oracle.probabilities(batch)
    logs = np.log(np.where(expected > 0, expected, 1))
    mean = (expected * logs).sum(1)
    variance = (expected * logs**2).sum(1) - mean**2
    surprise = logs[np.arange(len(answers)), answers].sum() - mean.sum()
    assert abs(surprise) < norm.ppf(0.9999) * np.sqrt(variance.sum())


def test_nothing_beats_the_oracle(medium):
    train, _, test = medium.dataset.split(LeaveOneOut())
    films_N, answers = len(train.items), test.target_rows
    last = test.queries.item_rows[test.queries.offsets[1:] - 1]

    def ndcg(rows_BK: np.ndarray) -> float:
        hit_BK = rows_BK == answers[:, None]
        return float((hit_BK / np.log2(np.arange(10) + 2)).sum(1).mean())

    def ranked(scores_BN: np.ndarray) -> np.ndarray:
        scores_BN = scores_BN.copy()
        scores_BN[test.queries.query_of_event, test.queries.item_rows] = -np.inf
        return np.argsort(-scores_BN, axis=1, kind="stable")[:, :10]

    # A counter of which film followed which, with popularity where it has seen nothing.
    rows, users = train.sequences.item_rows, train.sequences.user_rows
    pairs = users[1:] == users[:-1]
    followed = np.tile(train.item_counts * 1e-6, (films_N, 1))
    np.add.at(followed, (rows[:-1][pairs], rows[1:][pairs]), 1)

    oracle = ndcg(medium.oracle.topk(test.queries, 10)[0])
    popularity = ndcg(ranked(np.tile(train.item_counts.astype(float), (len(test), 1))))
    counter = ndcg(ranked(followed[last]))
    assert 0.25 < oracle < 0.45
    assert 0.02 < popularity / oracle < 0.15
    assert popularity < counter < 0.6 * oracle


def test_order_matters(medium):
    # Viewers whose last two films had been in another order want something else.
    batch, _ = every_step(medium, limit=50)
    long = np.flatnonzero(np.diff(batch.offsets) >= 2)
    swapped = batch.item_rows.copy()
    last = batch.offsets[1:][long] - 1
    swapped[last], swapped[last - 1] = batch.item_rows[last - 1], batch.item_rows[last]
    found, other = (
        medium.oracle.probabilities(queries)[long]
        for queries in (batch, replace(batch, item_rows=swapped))
    )
    assert np.abs(found - other).sum(1).mean() > 0.5


def test_topk_ranks_by_probability(small):
    batch, _ = every_step(small, limit=20)
    rows, scores = small.oracle.topk(batch, 10)
    expected = small.oracle.probabilities(batch)
    assert scores == pytest.approx(-np.sort(-expected, axis=1)[:, :10])
    assert scores == pytest.approx(np.take_along_axis(expected, rows, 1))


def test_a_batch_is_answered_like_its_queries(small, monkeypatch):
    batch, _ = every_step(small, limit=10)
    together, scores = small.oracle.topk(batch, 5)
    for place in range(len(batch)):
        rows, score = small.oracle.topk(batch[place : place + 1], 5)
        assert rows[0].tolist() == together[place].tolist()
        assert score[0] == pytest.approx(scores[place])
    monkeypatch.setattr("itemlm.data.world_oracle.CELLS_PER_BLOCK", 3 * 40)
    assert (small.oracle.topk(batch, 5)[0] == together).all()


def test_filters_and_short_answers(small):
    batch = batch_of([0, 1, 2], viewers=[0])
    allowed = np.zeros(40, dtype=bool)
    allowed[[1, 5, 7]] = True
    rows, scores = small.oracle.topk(replace(batch, allowed_N=allowed), 4)
    assert set(rows[0, :2]) == {5, 7}
    assert rows[0, 2:].tolist() == [-1, -1]
    assert np.isneginf(scores[0, 2:]).all()
    own = np.arange(40)[None] % 2 == 1
    rows, _ = small.oracle.topk(replace(batch, allowed_N=allowed, allowed_BN=own), 4)
    assert set(rows[0]) == {5, 7, -1}
    rows, _ = small.oracle.topk(replace(batch, allowed_BN=own), 40)
    assert set(rows[0]) == {-1, *range(3, 40, 2)}
    # Seen films stay away from the answer, or come last with probability 0; nothing beyond them.
    rows, _ = small.oracle.topk(batch, 50)
    assert sorted(rows[0]) == [-1] * 13 + list(range(3, 40))
    rows, scores = small.oracle.topk(replace(batch, exclude_seen=False), 50)
    assert set(rows[0, 37:40]) == {0, 1, 2}
    assert scores[0, 37:40].tolist() == [0, 0, 0]


def test_strangers_are_refused(small):
    stranger = query_batch([Query(history=["star-wars-1977"])], small.dataset.items)
    with pytest.raises(DataError, match="its own world only"):
        small.oracle.topk(stranger, 10)
    known = small.dataset.batch([small.dataset.query("viewer-0001")])
    assert small.oracle.topk(known, 10)[0].min() >= 0


def test_worlds_of_other_sizes():
    made = world(users=700, items=20_000, mean_history=6)
    assert len(made.dataset.items) == 20_000
    batch, _ = every_step(made, limit=10)
    assert made.oracle.probabilities(batch).sum(1) == pytest.approx(np.ones(len(batch)))
    # Large catalogs are used: many viewers are at home outside the real world.
    assert (made.dataset.sequences.item_rows >= films().height).mean() > 0.4
