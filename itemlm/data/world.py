"""The demo world: simulated viewers of real films, whose true preferences are known.

Real data never tell how well one could have done. Here we know: every viewer chooses by a law that
we wrote, so the best possible ranking, the oracle's, can be computed, and a report can say "72 % of
the oracle". The films are real (`world_films`), the viewers are not.

The law     A viewer u who has seen the films h1, ..., ht watches next the film i with

                P(i | u, h)  =  unseen(i) · Q(i)  /  sum over all films j of unseen(j) · Q(j)

                Q(i)  =  SERIES · (r1 pull(ht) sequel(i | ht) + r2 pull(ht-1) sequel(i | ht-1))
                       + MOOD   · shelf(i | mood(ht-1, ht))
                       + TASTE  · sum over places s of love(s | u, t) · shelf(i | u, s)
                       + FAME   · fame(i)
                       + WHIM   / N

            that is: a viewer follows one habit, and thinks again where it leads nowhere new. Here
            (r1, r2) = RECENCY; this and all other constants stand at the top of `world_law`.

shelves     Every film stands on one shelf, with some 30 others that share genres and themes
            (`world_shelves`). shelf(i | s) is proportional to appeal(i) for the films of shelf s.
            The catalog names the shelf, as a video store does: text tells what goes together.
mood        Viewers have two moods that take turns, such as weeknights and weekends: the next film
            comes from the shelf of the film before last, ht-1. But if ht stood on the same shelf,
            that is enough of it, and its contrast follows: grave after light, light after grave.
            So it is the order of the last two films that matters, not which two they are.
series      sequel(i | f) is 1 for the first film after f in its series that u has not seen (from
            the start again after the last part), and 0 for all others. pull(f) is CURIOSITY after
            the first part and 1 after later ones: people finish what they are in the middle of.
taste       Every viewer has a closed path of shelves, most of them rich in one favorite genre, and
            walks along it by a little with every film: taste drifts, and old loves return. love is
            a bell around the place where u stands after t films; the longer history reveals it.
fame        fame(i) is proportional to appeal(i), which has a long tail.

            Beyond the real films a catalog holds imaginary countries that mirror them. Moods and
            series stay inside a country, each place of a path belongs to one, and the fame of
            country number c is proportional to 1 / (c + 1). So the law keeps its form up to a
            million films, and a choice costs the same in all of them.

Honesty     Law and constants were chosen so that order and text matter. Taking turns is lost on
            counters that lump all distances between two films together, as ItemKNN does; and the
            catalog names the shelves because LSA, from genres and themes alone, finds them poorly.
            Counting as such is not beaten: one that keeps a table for the last film and another for
            the film before last reaches 77 to 80 % of the oracle on default worlds.
            That learned models of sequences beat ItemKNN here is a property of this world, and no
            evidence that they do so on real data.

Chance      Same arguments, same world. Random numbers come from PCG64 streams, one per purpose and
            block of viewers, spawned from the seed; taste after t films is a function of seed and
            viewer alone.

Shapes      U viewers, B viewers of a block, S places on a path, T films seen, N films, E events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from itemlm.data.dataset import Dataset
from itemlm.data.sequences import Sequences
from itemlm.data.vocabulary import Vocabulary
from itemlm.data.world_films import cinema, films
from itemlm.data.world_law import FAME, MOOD, RECENCY, SERIES, TASTE, WHIM, Law, make_law
from itemlm.data.world_oracle import Oracle
from itemlm.data.world_shelves import shelf_names
from itemlm.types import ConfigError, FloatArray, IntArray

__all__ = ["Oracle", "World", "films", "world"]

SHORTEST, LONGEST = 5, 365  # films in a history
VIEWERS_PER_BLOCK = 50_000  # simulated together; another number is another world
FIRST_DAY = int(np.datetime64("2024-01-01", "D").astype(np.int64))
DAYS = 731  # two years
MINUTES_PER_DAY, MILLISECONDS_PER_MINUTE = 24 * 60, 60_000
EVENING = (17 * 60, 23 * 60)  # minutes of the day at which a film may begin


@dataclass(frozen=True, kw_only=True)
class World:
    """What may be learned from, and what a perfect recommender would answer.

    Attributes:
        dataset: the histories of the viewers and the catalog of films, named "demo".
        oracle: ranks by the true probabilities.
    """

    dataset: Dataset
    oracle: Oracle


def world(
    users: int = 6000, items: int | None = None, seed: int = 0, mean_history: float = 20
) -> World:
    """Simulate a world.

    Args:
        users: number of viewers.
        items: number of films: None for all real ones; fewer are the most famous; more go on with
            imaginary ones, up to two million.
        seed: names the world; the catalog does not depend on it.
        mean_history: films per viewer, on average. Nobody sees fewer than 5, or more than 365 or
            half the catalog, which lowers the average of small catalogs.

    Raises:
        ConfigError: if a number is out of range.
    """
    if users < 1:
        raise ConfigError(f"users is {users}, but a world needs at least one viewer.")
    if not SHORTEST <= mean_history <= LONGEST / 2:
        raise ConfigError(
            f"mean_history is {mean_history}, but must lie between {SHORTEST} and {LONGEST / 2}."
        )
    if seed < 0:
        raise ConfigError(f"seed is {seed}, but must be 0 or more.")
    catalog = cinema(items)
    law = make_law(catalog, users, _stream(seed, "law"))
    names = pl.Series("shelf", shelf_names(catalog.home, law.shelf_R))
    table = catalog.table.with_columns(names.gather(law.shelf_R[law.film_N]))
    most = min(LONGEST, table.height // 2)
    lengths_U = _lengths(users, mean_history, most, _stream(seed, "lengths"))
    offsets = np.concatenate([[0], np.cumsum(lengths_U)])
    item_rows = np.empty(offsets[-1], dtype=np.int32)
    for first in range(0, users, VIEWERS_PER_BLOCK):
        viewers_B = np.arange(first, min(first + VIEWERS_PER_BLOCK, users))
        events = slice(offsets[viewers_B[0]], offsets[viewers_B[-1] + 1])
        rng = _stream(seed, "films", first)
        item_rows[events] = _diaries(law, viewers_B, lengths_U[viewers_B], rng)
    numbers = pl.select(pl.int_range(1, users + 1).cast(pl.String)).to_series()
    dataset = Dataset(
        name="demo",
        users=Vocabulary("viewer-" + numbers.str.zfill(len(str(users)))),
        items=Vocabulary(table["item_id"]),
        sequences=Sequences(
            offsets=offsets,
            item_rows=item_rows,
            timestamps=_evenings(offsets, _stream(seed, "evenings")),
        ),
        catalog=table,
        notes=(f"simulated viewers, seed {seed}; nobody real watched these films",),
        licence="Simulated; use it for anything.",
    )
    return World(dataset=dataset, oracle=Oracle(law))


def _stream(seed: int, purpose: str, first: int = 0) -> np.random.Generator:
    key = (*purpose.encode(), first)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _lengths(users: int, mean: float, most: int, rng: np.random.Generator) -> IntArray:
    """[U] films per viewer: many see few, few see many."""
    extra_U = rng.poisson(rng.exponential(mean - SHORTEST, users))
    return np.minimum(SHORTEST + extra_U, most)


def _diaries(
    law: Law, viewers_B: IntArray, lengths_B: IntArray, rng: np.random.Generator
) -> IntArray:
    """[E] the films of these viewers, viewer after viewer; all take a step at a time together."""
    longest_first = np.argsort(-lengths_B, kind="stable")
    history_BT = np.full((len(viewers_B), lengths_B.max()), -1, dtype=np.int32)
    for step in range(lengths_B.max()):
        still = longest_first[: int((lengths_B > step).sum())]
        history_BT[still, step] = next_films(law, viewers_B[still], history_BT[still, :step], rng)
    films_E: IntArray = history_BT[history_BT >= 0]
    return films_E


def next_films(
    law: Law, viewers_B: IntArray, history_BT: IntArray, rng: np.random.Generator
) -> IntArray:
    """[B] draw the next film of every viewer from the law; all of them have seen T films."""
    steps = history_BT.shape[1]
    recent_2B = np.full((2, len(viewers_B)), -1, dtype=np.int64)
    for back in range(min(2, steps)):
        recent_2B[back] = history_BT[:, steps - 1 - back]
    sequel_2B = np.stack([law.sequel(film_B, history_BT) for film_B in recent_2B])

    chosen_B = np.full(len(viewers_B), -1, dtype=np.int64)
    open_B = np.arange(len(viewers_B))
    while len(open_B):
        film = _propose(
            law, viewers_B[open_B], steps, recent_2B[:, open_B], sequel_2B[:, open_B], rng
        )
        new = (film >= 0) & ~(history_BT[open_B] == film[:, None]).any(1)
        chosen_B[open_B[new]] = film[new]
        open_B = open_B[~new]
    return chosen_B


def _propose(
    law: Law,
    viewers_B: IntArray,
    steps: int,
    recent_2B: IntArray,
    sequel_2B: IntArray,
    rng: np.random.Generator,
) -> IntArray:
    """[B] draw from Q: a habit, then a film by it. -1 where the habit leads nowhere."""
    habit_B = _pick(np.array([SERIES, MOOD, TASTE, FAME, WHIM]), rng.random(len(viewers_B)))
    first_B, second_B = rng.random((2, len(viewers_B)))
    back_B = _pick(np.array(RECENCY), first_B)
    film_B = np.full(len(viewers_B), -1, dtype=np.int64)

    serial = np.flatnonzero(habit_B == 0)
    film = recent_2B[back_B[serial], serial]
    drawn_on = second_B[serial] < law.pull_N[film]  # where there is no film there is no sequel
    film_B[serial[drawn_on]] = sequel_2B[back_B[serial], serial][drawn_on]

    moody = np.flatnonzero((habit_B == 1) & (recent_2B >= 0).all(0))
    shelf, country = law.mood(*recent_2B[:, moody])
    film_B[moody] = law.row_CR[country, law.shelves.draw(shelf, second_B[moody])]

    tasteful = np.flatnonzero(habit_B == 2)
    viewer = viewers_B[tasteful]
    place = _pick(law.viewers.taste(viewer, np.full(len(viewer), steps)), first_B[tasteful])
    on_shelf = law.shelves.draw(law.viewers.shelf_US[viewer, place], second_B[tasteful])
    film_B[tasteful] = law.row_CR[law.viewers.country_US[viewer, place], on_shelf]

    swayed = np.flatnonzero(habit_B == 3)
    country, famous = _pick(law.fame_C, first_B[swayed]), _pick(law.fame_R, second_B[swayed])
    film_B[swayed] = law.row_CR[country, famous]

    idle = np.flatnonzero(habit_B == 4)
    film_B[idle] = (first_B[idle] * len(law.film_N)).astype(np.int64)
    return film_B


def _pick(weights: FloatArray, uniform_B: FloatArray) -> IntArray:
    """[B] places drawn by weights that sum to 1: the same [K] for all or [B, K]."""
    ladder = np.cumsum(weights, axis=-1)[..., :-1]  # the last place takes what rounding leaves
    if ladder.ndim == 1:
        return np.searchsorted(ladder, uniform_B, side="right")
    place_B: IntArray = (uniform_B[:, None] >= ladder).sum(1)
    return place_B


def _evenings(offsets: IntArray, rng: np.random.Generator) -> IntArray:
    """[E] when every film began, in ms: one film an evening; viewers come and go in two years."""
    lengths_U = np.diff(offsets)
    user_E = np.repeat(np.arange(len(lengths_U)), lengths_U)
    clock_E = np.cumsum(rng.exponential(1, len(user_E)))
    begin_U, end_U = clock_E[offsets[:-1]], clock_E[offsets[1:] - 1]
    progress_E = (clock_E - begin_U[user_E]) / (end_U - begin_U)[user_E]
    span_U = rng.uniform(2 * lengths_U, DAYS)
    arrival_U = rng.uniform(0, DAYS - span_U)
    nth_E = np.arange(len(user_E)) - offsets[:-1][user_E]
    free_U = span_U - lengths_U  # evenings without a film, shared out by the clock
    day_E = nth_E + (arrival_U[user_E] + progress_E * free_U[user_E]).astype(np.int64)
    minute_E = rng.integers(*EVENING, len(user_E))
    return ((FIRST_DAY + day_E) * MINUTES_PER_DAY + minute_E) * MILLISECONDS_PER_MINUTE
