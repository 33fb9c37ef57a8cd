"""The demo world: simulated viewers of real films, whose true preferences are known.

Real data never tell how well one could have done. Here we know: every viewer chooses by a law that
we wrote, so the best possible ranking, the oracle's, can be computed, and a report can say "72 % of
the oracle". The films are real (`world_films`), the viewers are not.

The law. A viewer u who has seen the films h = (h1, ..., ht) watches next the film i with

    P(i | u, h)  =  [i not in h] · Q(i) / sum of Q over all films not in h

    Q(i)  =  0.30 · (0.75 [i = sequel(ht)] + 0.25 [i = sequel(ht-1)])      series
           + 0.42 · (0.75 like(i | ht)     + 0.25 like(i | ht-1))          mood
           + 0.20 · sum over s of love(s | u, t) · shelf(i | s)            taste
           + 0.05 · fame(i)                                                fame
           + 0.03 / N                                                      whim

series      sequel(f) is the first film after f in its series that u has not seen (from the start
            again after the last one); the term is absent where there is none.
mood        like(i | f) is large for the 20 films that share most themes, genres, director and era
            with f: proportional to exp(cosine / 0.08) · appeal(i)^0.5. Only the last two films
            count, so the order of a history matters.
taste       A shelf is a theme, a director or a genre in an era; shelf(i | s) is proportional to
            appeal(i). Every viewer has a closed path of six shelves, most of them near one favorite
            genre, and walks along it slowly (0.05 to 0.15 shelves per film): taste drifts, and old
            loves return. love(s | u, t) is a bell around where u stands after t films.
fame        fame(i) is proportional to appeal(i), which is long-tailed: exp(0.7 · stars + 0.4 ·
            noise), stars from 1 to 5.

Beyond the real films a catalog holds imaginary countries that mirror them. Likeness and series stay
inside a country, each shelf of a path belongs to one, and a country's fame is (1 + number)^-1. So
the law keeps its form up to a million films, and each choice costs the same.

Same arguments, same world: every random number comes from PCG64 streams named by seed, purpose and
block of viewers, and the hidden taste is a function of (seed, viewer, step).

Shapes      U viewers, S places on a path, T steps, N films, R films per country, C countries,
            F features, E events, B viewers of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from itemlm.data.dataset import Dataset, Sequences, Vocabulary
from itemlm.data.world_films import Cinema, cinema, films
from itemlm.data.world_oracle import (
    FAME,
    MOOD,
    RECENCY,
    SERIES,
    TASTE,
    WHIM,
    Choices,
    Law,
    Oracle,
    Viewers,
)
from itemlm.types import BoolArray, ConfigError, FloatArray, IntArray

__all__ = ["Oracle", "World", "films", "world"]

SHORTEST, LONGEST = 5, 365  # films per history
VIEWERS_PER_BLOCK = 50_000  # simulated together; part of the definition of a world
FIRST_DAY = np.datetime64("2024-01-01").astype("datetime64[D]").astype(int)
DAYS = 731
FEATURE_WEIGHTS = {"genres": 0.6, "themes": 1.0, "director": 0.8, "era": 0.4}
SIMILAR_FILMS, SHARPNESS = 20, 1 / 0.08
SMALLEST_SHELF = 4
STARS, PULL = 0.7, 0.5
PLACES = 6
SLOWEST, FASTEST = 0.05, 0.15


@dataclass(frozen=True, kw_only=True)
class World:
    """What may be learned from, and what a perfect recommender would answer.

    Attributes:
        dataset: the viewers' histories and the catalog of films.
        oracle: ranks by the true probabilities.
    """

    dataset: Dataset
    oracle: Oracle


def world(
    users: int = 3000, items: int | None = None, seed: int = 0, mean_history: float = 20
) -> World:
    """Simulate a world.

    Args:
        users: number of viewers.
        items: number of films: None for all real ones; fewer are the most famous; more continue
            with imaginary ones, up to two million.
        seed: names the world; the catalog does not depend on it.
        mean_history: films per viewer, on average. Nobody sees fewer than 5 or more than 365 films
            or half the catalog.

    Raises:
        ConfigError: if a number is out of range.
    """
    if users < 1:
        raise ConfigError(f"users is {users}, but a world needs at least one viewer.")
    if not SHORTEST <= mean_history <= LONGEST / 2:
        raise ConfigError(
            f"mean_history is {mean_history}, but must lie between {SHORTEST} and {LONGEST // 2}."
        )
    catalog = cinema(items)
    law = _law(catalog, users, seed)
    lengths_U = _lengths(users, catalog.table.height, mean_history, seed)
    offsets = np.concatenate([[0], np.cumsum(lengths_U)])
    item_rows = np.empty(offsets[-1], dtype=np.int32)
    for block, first in enumerate(range(0, users, VIEWERS_PER_BLOCK)):
        viewers_B = np.arange(first, min(first + VIEWERS_PER_BLOCK, users))
        rng = _stream(seed, 2, block)
        start, stop = offsets[viewers_B[0]], offsets[viewers_B[-1] + 1]
        item_rows[start:stop] = _watch(law, viewers_B, lengths_U[viewers_B], rng)
    digits = len(str(users))
    numbers = pl.select(pl.int_range(1, users + 1).cast(pl.String).str.zfill(digits)).to_series()
    dataset = Dataset(
        name="demo",
        users=Vocabulary("viewer-" + numbers),
        items=Vocabulary(catalog.table["item_id"]),
        sequences=Sequences(
            offsets=offsets, item_rows=item_rows, timestamps=_evenings(offsets, _stream(seed, 3))
        ),
        catalog=catalog.table,
        notes=(f"simulated viewers (seed {seed}) of real and, beyond those, imaginary films",),
        licence="Simulated by itemlm; use it for anything.",
    )
    return World(dataset=dataset, oracle=Oracle(law))


def _stream(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)))


# --- The law's tables ---------------------------------------------------------------------------


def _law(catalog: Cinema, users: int, seed: int) -> Law:
    home, rng = catalog.home, _stream(seed, 0)
    appeal_R = np.exp(STARS * home["fame"].to_numpy() + 0.4 * rng.standard_normal(home.height))
    traits = _traits(home)
    appeal_C = 1 / np.arange(1, len(catalog.row_CR) + 1)
    shelf_LR = _shelves(traits) * appeal_R
    return Law(
        country_N=catalog.country_N,
        film_N=catalog.film_N,
        row_CR=catalog.row_CR,
        successor_N=_successors(catalog),
        similar=Choices.of(_similar(traits, appeal_R)),
        shelves=Choices.of(shelf_LR),
        fame_R=appeal_R / appeal_R.sum(),
        fame_C=appeal_C / appeal_C.sum(),
        viewers=_viewers(shelf_LR, traits["genres"], appeal_C, users, _stream(seed, 1)),
    )


def _traits(home: pl.DataFrame) -> dict[str, BoolArray]:
    """[R, F] which films have which genre, theme, director or era (decade)."""
    era = (pl.col("year") // 10).cast(pl.String).alias("era")
    tables = home.select("genres", "themes", pl.concat_list("director"), pl.concat_list(era))
    traits = {}
    for name in FEATURE_WEIGHTS:
        pairs = tables.select(pl.int_range(pl.len()).alias("film"), name).explode(name)
        trait_E = pairs[name].rank("dense").to_numpy().astype(np.int64) - 1
        traits[name] = np.zeros((home.height, trait_E.max() + 1), dtype=bool)
        traits[name][pairs["film"].to_numpy(), trait_E] = True
    return traits


def _similar(traits: dict[str, BoolArray], appeal_R: FloatArray) -> FloatArray:
    """[R, R] like(i | f) up to a factor, zero beyond the nearest films."""
    films = len(appeal_R)
    parts = []
    for name, has_RF in traits.items():
        rarity_F = np.log(films / has_RF.sum(0)) + 0.1
        parts.append(FEATURE_WEIGHTS[name] * has_RF * rarity_F)
    features_RF = np.concatenate(parts, axis=1)
    features_RF /= np.linalg.norm(features_RF, axis=1, keepdims=True)
    cosine_RR = features_RF @ features_RF.T
    np.fill_diagonal(cosine_RR, -np.inf)
    weights_RR = np.exp(SHARPNESS * cosine_RR) * appeal_R**PULL
    nearest = min(SIMILAR_FILMS, films - 1)
    floor_R1 = np.partition(weights_RR, -nearest, axis=1)[:, [-nearest]]
    return np.where(weights_RR >= floor_R1, weights_RR, 0)


def _shelves(traits: dict[str, BoolArray]) -> BoolArray:
    """[L, R] which films stand on which shelf: themes, directors, and genres by era."""
    genre_era = traits["genres"][:, :, None] & traits["era"][:, None, :]
    every = [traits["themes"], traits["director"], genre_era.reshape(len(genre_era), -1)]
    shelf_LR = np.concatenate(every, axis=1).T
    return shelf_LR[shelf_LR.sum(1) >= min(SMALLEST_SHELF, shelf_LR.sum(1).max())]


def _successors(catalog: Cinema) -> IntArray:
    """[N] the next film of the same series by year, the first after the last; itself if alone."""
    successor_N = np.arange(catalog.table.height)
    keys = pl.DataFrame({"country": catalog.country_N, "series": catalog.table["series"]})
    members = keys.with_row_index("row").drop_nulls().sort("country", "series", "row")
    follower = pl.col("row").shift(-1).fill_null(pl.col("row").first()).over("country", "series")
    successor_N[members["row"].to_numpy()] = members.select(follower).to_series().to_numpy()
    return successor_N


def _viewers(
    shelf_LR: FloatArray,
    genre_RF: BoolArray,
    appeal_C: FloatArray,
    users: int,
    rng: np.random.Generator,
) -> Viewers:
    """Draw every viewer's path: a favorite genre, and shelves that hold much of it."""
    on_shelf_L = shelf_LR.sum(1)
    share_FL = (shelf_LR @ genre_RF).T / on_shelf_L
    shelves = Choices.of(share_FL**2 * on_shelf_L**0.5)
    genre_ladder = np.cumsum(share_FL @ on_shelf_L / (share_FL @ on_shelf_L).sum())
    genre_U = np.searchsorted(genre_ladder, rng.random(users)).clip(max=len(share_FL) - 1)
    shelf_US = shelves.draw(np.repeat(genre_U, PLACES), rng.random(users * PLACES))
    # Viewers are at home in one country; every fourth shelf is from somewhere else.
    countries = Choices.of(appeal_C[None])
    zero_US = np.zeros(users * PLACES, dtype=np.int64)
    home_US = np.repeat(countries.draw(zero_US[:users], rng.random(users)), PLACES)
    away_US = countries.draw(zero_US, rng.random(users * PLACES))
    country_US = np.where(rng.random(users * PLACES) < 0.25, away_US, home_US)
    return Viewers(
        shelf_US=shelf_US.reshape(users, PLACES),
        country_US=country_US.reshape(users, PLACES),
        start_U=rng.uniform(0, PLACES, users),
        speed_U=rng.uniform(SLOWEST, FASTEST, users),
    )


# --- Watching -----------------------------------------------------------------------------------


def _lengths(users: int, films: int, mean: float, seed: int) -> IntArray:
    """[U] films per viewer: a long-tailed number above the shortest history."""
    rng = _stream(seed, 4)
    eager_U = rng.exponential(mean - SHORTEST, users)
    return np.minimum(SHORTEST + rng.poisson(eager_U), min(LONGEST, films // 2))


def _watch(law: Law, viewers_B: IntArray, lengths_B: IntArray, rng: np.random.Generator) -> IntArray:
    """Simulate a block of viewers together, one film at a time.

    Returns:
        [E] their films, viewer after viewer.
    """
    longest_first = np.argsort(-lengths_B, kind="stable")
    viewers_B, lengths_B = viewers_B[longest_first], lengths_B[longest_first]
    history_BT = np.full((len(viewers_B), lengths_B[0]), -1, dtype=np.int32)
    for step in range(lengths_B[0]):
        active = int(np.searchsorted(-lengths_B, -step, side="left"))
        history_BT[:active, step] = _next_film(law, viewers_B[:active], history_BT[:active, :step], rng)
    in_order = np.argsort(longest_first)
    return history_BT[in_order][history_BT[in_order] >= 0]


def _next_film(
    law: Law, viewers_B: IntArray, history_BT: IntArray, rng: np.random.Generator
) -> IntArray:
    """[B] draw from the law: follow one habit, and think again where that leads nowhere new."""
    steps = history_BT.shape[1]
    recent_2B = np.full((2, len(viewers_B)), -1)
    for back in range(min(2, steps)):
        recent_2B[back] = history_BT[:, steps - 1 - back]
    sequel_2B = np.stack([law.next_in_series(film_B, history_BT) for film_B in recent_2B])
    love_BS = law.viewers.taste(viewers_B, np.full(len(viewers_B), steps))
    habit_ladder = np.cumsum([SERIES, MOOD, TASTE, FAME, WHIM])

    chosen_B = np.full(len(viewers_B), -1)
    undecided = np.arange(len(viewers_B))
    while len(undecided):
        uniform = rng.random((4, len(undecided)))
        habit = np.searchsorted(habit_ladder, uniform[0] * habit_ladder[-1], side="right")
        back = (uniform[1] >= RECENCY[0]).astype(np.int64)
        film = np.full(len(undecided), -1)

        which = np.flatnonzero(habit == 0)
        film[which] = sequel_2B[back[which], undecided[which]]

        which = np.flatnonzero((habit == 1) & (recent_2B[back, undecided] >= 0))
        recent = recent_2B[back[which], undecided[which]]
        like = law.similar.draw(law.film_N[recent], uniform[2, which])
        film[which] = law.row_CR[law.country_N[recent], like]

        which = np.flatnonzero(habit == 2)
        ladder = np.cumsum(love_BS[undecided[which]], axis=1)
        place = (uniform[1, which, None] >= ladder[:, :-1]).sum(1)
        viewer = viewers_B[undecided[which]]
        on_shelf = law.shelves.draw(law.viewers.shelf_US[viewer, place], uniform[2, which])
        film[which] = law.row_CR[law.viewers.country_US[viewer, place], on_shelf]

        which = np.flatnonzero(habit == 3)
        country = np.searchsorted(np.cumsum(law.fame_C)[:-1], uniform[1, which], side="right")
        famous = np.searchsorted(np.cumsum(law.fame_R)[:-1], uniform[2, which], side="right")
        film[which] = law.row_CR[country, famous]

        which = np.flatnonzero(habit == 4)
        film[which] = (uniform[1, which] * len(law.film_N)).astype(np.int64)

        new = (film >= 0) & ~(history_BT[undecided] == film[:, None]).any(1)
        chosen_B[undecided[new]] = film[new]
        undecided = undecided[~new]
    return chosen_B


def _evenings(offsets: IntArray, rng: np.random.Generator) -> IntArray:
    """[E] when every film began, in ms: one film an evening, viewers come and go within two years."""
    lengths_U = np.diff(offsets)
    user_E = np.repeat(np.arange(len(lengths_U)), lengths_U)
    wait_E = np.cumsum(rng.exponential(1, len(user_E)))
    begin_U, end_U = wait_E[offsets[:-1]], wait_E[offsets[1:] - 1]
    progress_E = (wait_E - begin_U[user_E]) / (end_U - begin_U)[user_E]
    span_U = rng.uniform(2 * lengths_U, DAYS)
    arrival_U = rng.uniform(0, DAYS - span_U)
    nth_E = np.arange(len(user_E)) - offsets[:-1][user_E]
    spare_U = span_U - lengths_U
    day_E = (arrival_U[user_E] + progress_E * spare_U[user_E]).astype(np.int64) + nth_E
    minute_E = rng.integers(17 * 60, 23 * 60, len(user_E))
    return ((FIRST_DAY + day_E) * 24 * 60 + minute_E) * 60_000
