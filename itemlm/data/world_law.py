"""The law by which the viewers of the demo world choose films, as tables.

`itemlm.data.world` states the law as an equation and draws films from these tables; the oracle adds
the same tables up to probabilities. This file makes them: what stands on every shelf, which shelf
follows which, what follows in a series, and what is hidden in every viewer.

The constants were chosen so that the order of a history and the text of the catalog matter.

Shapes      B viewers or queries, T films seen, U viewers of the world, S places on a path of taste,
            N films of the catalog, C countries, R films per country, L lists or shelves, F traits,
            E entries of a table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from itemlm.data.world_films import Cinema
from itemlm.data.world_shelves import has_trait, shelve
from itemlm.types import BoolArray, FloatArray, IntArray

# How often each habit moves a viewer.
SERIES, MOOD, TASTE, FAME, WHIM = 0.20, 0.50, 0.22, 0.05, 0.03
RECENCY = (0.6, 0.4)  # which of the last two films, the last one first, a series is followed from
CURIOSITY = 0.4  # chance to be drawn on by the first part of a series, relative to later parts

# appeal = exp(STARS · fame + GLOSS · normal noise)
STARS, GLOSS = 0.9, 0.4

# A viewer's path of taste.
PLACES = 6
ABROAD = 0.25  # share of places outside the viewer's home country
SPEED = (0.03, 0.10)  # places walked per film seen, from slowest to fastest viewer
BREADTH = 0.6  # places loved at once, as the standard deviation of a bell


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Many lists of films with probabilities, in CSR form.

    Attributes:
        offsets: [L + 1] where each list starts.
        films: [E] the films of every list.
        probabilities: [E] they sum to 1 in every list.
        ladder: [E] number of the list + probability of its films up to and with this one.
    """

    offsets: IntArray
    films: IntArray
    probabilities: FloatArray
    ladder: FloatArray

    @classmethod
    def of(cls, weights_LR: FloatArray) -> Choices:
        """One list per row: the films with a positive weight, in proportion to it."""
        lists, films = np.nonzero(weights_LR)
        offsets = np.searchsorted(lists, np.arange(len(weights_LR) + 1))
        weights = weights_LR[lists, films]
        probabilities = weights / np.bincount(lists, weights)[lists]
        sums = np.concatenate([[0.0], np.cumsum(probabilities)])
        ladder = lists + (sums[1:] - sums[offsets[lists]])
        return cls(offsets=offsets, films=films, probabilities=probabilities, ladder=ladder)

    def draw(self, lists_B: IntArray, uniform_B: FloatArray) -> IntArray:
        """[B] one film from each named list, by random numbers in [0, 1)."""
        entry_B = np.searchsorted(self.ladder, lists_B + uniform_B, side="right")
        return self.films[np.minimum(entry_B, self.offsets[lists_B + 1] - 1)]  # against rounding

    def spread(self, lists_B: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """All films of the named lists: place in `lists_B`, film and probability, each [E]."""
        lengths_B = np.diff(self.offsets)[lists_B]
        place_E = np.repeat(np.arange(len(lists_B)), lengths_B)
        first_B = self.offsets[lists_B] - (np.cumsum(lengths_B) - lengths_B)
        entry_E = np.arange(len(place_E)) + first_B[place_E]
        return place_E, self.films[entry_E], self.probabilities[entry_E]


@dataclass(frozen=True, kw_only=True)
class Viewers:
    """What is hidden in every viewer: a closed path of shelves, and how they walk along it.

    Attributes:
        shelf_US: the shelf at each place of the path.
        country_US: the country whose films fill it.
        start_U: where on the path the viewer stands before the first film.
        speed_U: places walked per film seen.
    """

    shelf_US: IntArray
    country_US: IntArray
    start_U: FloatArray
    speed_U: FloatArray

    def taste(self, viewers_B: IntArray, steps_B: IntArray) -> FloatArray:
        """[B, S] love of each place after so many films: a bell around where the viewer stands."""
        places = self.shelf_US.shape[1]
        here_B = self.start_U[viewers_B] + self.speed_U[viewers_B] * steps_B
        ahead_BS = (np.arange(places) - here_B[:, None]) % places
        apart_BS = np.minimum(ahead_BS, places - ahead_BS)
        love_BS = np.exp(-0.5 * (apart_BS / BREADTH) ** 2)
        share_BS: FloatArray = love_BS / love_BS.sum(1, keepdims=True)
        return share_BS


@dataclass(frozen=True, kw_only=True)
class Law:
    """All tables of the equation.

    Attributes:
        country_N, film_N, row_CR: the layout of the catalog, see `world_films.Cinema`.
        successor_N: the next film of the series, the first one after the last; itself if alone.
        pull_N: how strongly a film draws on to its sequel.
        shelf_R: where each of the R films stands.
        contrast_L: the shelf that is unlike each shelf.
        shelves: the films of each shelf.
        fame_R: share of each film in the fame of its country.
        fame_C: share of each country.
        viewers: what is hidden in them.
    """

    country_N: IntArray
    film_N: IntArray
    row_CR: IntArray
    successor_N: IntArray
    pull_N: FloatArray
    shelf_R: IntArray
    contrast_L: IntArray
    shelves: Choices
    fame_R: FloatArray
    fame_C: FloatArray
    viewers: Viewers

    def sequel(self, film_B: IntArray, history_BT: IntArray) -> IntArray:
        """[B] the first film after this one in its series that is not in the history.

        After the last part come the first ones. -1 where all were seen, where a film stands alone
        and where it is itself -1. Histories are padded with -1.
        """
        sequel_B = np.full(len(film_B), -1, dtype=np.int64)
        open_B = np.flatnonzero((film_B >= 0) & (self.successor_N[film_B] != film_B))
        here_B = self.successor_N[film_B[open_B]]
        while len(open_B):
            seen = (history_BT[open_B] == here_B[:, None]).any(1)
            sequel_B[open_B[~seen]] = here_B[~seen]
            go_on = seen & (here_B != film_B[open_B])
            open_B, here_B = open_B[go_on], self.successor_N[here_B[go_on]]
        return sequel_B

    def mood(self, last_B: IntArray, before_B: IntArray) -> tuple[IntArray, IntArray]:
        """The shelf that the last two films lead to, and its country, each [B].

        Two moods take turns, so it is the shelf of the film before last; but two films of one shelf
        are enough, and lead to its contrast.
        """
        shelf_B, country_B = self.shelf_R[self.film_N[before_B]], self.country_N[before_B]
        last_shelf_B, last_country_B = self.shelf_R[self.film_N[last_B]], self.country_N[last_B]
        enough_B = (shelf_B == last_shelf_B) & (country_B == last_country_B)
        return np.where(enough_B, self.contrast_L[shelf_B], shelf_B), country_B


def make_law(cinema: Cinema, users: int, rng: np.random.Generator) -> Law:
    """The tables of a world with this catalog and so many viewers."""
    home = cinema.home
    appeal_R = np.exp(STARS * home["fame"].to_numpy() + GLOSS * rng.standard_normal(home.height))
    appeal_C = 1 / np.arange(1, len(cinema.row_CR) + 1)
    shelf_R = shelve(home)
    shelves = shelf_R.max() + 1
    shelf_LR = np.where(shelf_R == np.arange(shelves)[:, None], appeal_R, 0)
    successor_N, first_N = _series(cinema)
    return Law(
        country_N=cinema.country_N,
        film_N=cinema.film_N,
        row_CR=cinema.row_CR,
        successor_N=successor_N,
        pull_N=np.where(first_N, CURIOSITY, 1.0),
        shelf_R=shelf_R,
        contrast_L=(np.arange(shelves) + shelves // 2) % shelves,
        shelves=Choices.of(shelf_LR),
        fame_R=appeal_R / appeal_R.sum(),
        fame_C=appeal_C / appeal_C.sum(),
        viewers=_viewers(shelf_LR, has_trait(home, "genres"), appeal_C, users, rng),
    )


def _series(cinema: Cinema) -> tuple[IntArray, BoolArray]:
    """[N] the next part of the same series, the first one after the last; and who is the first.

    A film that stands alone is its own next part.
    """
    rows = cinema.table.height
    successor_N, first_N = np.arange(rows), np.zeros(rows, dtype=bool)
    keys = pl.DataFrame({"country": cinema.country_N, "series": cinema.table["series"]})
    parts = keys.with_row_index("row").drop_nulls()
    row, series = pl.col("row"), ("country", "series")
    following = parts.select(row.shift(-1).fill_null(row.first()).over(*series)).to_series()
    successor_N[parts["row"].to_numpy()] = following.to_numpy()
    first_N[parts.group_by(*series).agg(row.first())["row"].to_numpy()] = True
    return successor_N, first_N


def _viewers(
    shelf_LR: FloatArray,
    genre_RF: BoolArray,
    appeal_C: FloatArray,
    users: int,
    rng: np.random.Generator,
) -> Viewers:
    """Draw every viewer's path: shelves on which their favorite genre is common."""
    appeal_L = shelf_LR.sum(1)
    share_FL = (shelf_LR @ genre_RF).T / appeal_L
    genres = Choices.of((share_FL @ appeal_L)[None])
    shelves = Choices.of(share_FL**2 * appeal_L**0.5)
    countries = Choices.of(appeal_C[None])
    first_U, first_US = np.zeros(users, dtype=np.int64), np.zeros(users * PLACES, dtype=np.int64)

    genre_US = np.repeat(genres.draw(first_U, rng.random(users)), PLACES)
    shelf_US = shelves.draw(genre_US, rng.random(users * PLACES))
    home_US = np.repeat(countries.draw(first_U, rng.random(users)), PLACES)
    away_US = countries.draw(first_US, rng.random(users * PLACES))
    country_US = np.where(rng.random(users * PLACES) < ABROAD, away_US, home_US)
    return Viewers(
        shelf_US=shelf_US.reshape(users, PLACES),
        country_US=country_US.reshape(users, PLACES),
        start_U=rng.uniform(0, PLACES, users),
        speed_U=rng.uniform(*SPEED, users),
    )
