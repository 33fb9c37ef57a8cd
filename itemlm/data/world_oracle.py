"""The law by which the viewers of the demo world choose films, and the oracle that knows it.

The law is the equation in `itemlm.data.world`: a mixture of habits, over the films that the viewer
has not seen. This file holds the habits as tables and computes every probability exactly;
`itemlm.data.world` draws from the same tables. What a perfect recommender could know, and no more,
is what the oracle knows: the viewer's taste at this moment, and their history.

Shapes      B viewers or queries, T steps, U viewers of the world, S places on a viewer's path of
            taste, N films of the catalog, C countries, R films per country, E table entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlm.types import DataError, FloatArray, IntArray, QueryBatch

# How often each habit moves a viewer; the habits of the last two films share theirs by RECENCY.
SERIES, MOOD, TASTE, FAME, WHIM = 0.30, 0.42, 0.20, 0.05, 0.03
RECENCY = (0.75, 0.25)
TASTE_WIDTH = 0.9  # how many places of the path a viewer loves at once, as a standard deviation
CELLS_PER_BLOCK = 8_000_000  # of the probability table that is in memory at a time


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Many small lists of films with probabilities, in CSR form.

    Attributes:
        offsets: where each list starts in the other two.
        films: [E] the films of every list.
        probabilities: [E] they sum to 1 in every list.
        ladder: [E] list number + probability of the list's films up to and with this one.
    """

    offsets: IntArray
    films: IntArray
    probabilities: FloatArray
    ladder: FloatArray

    @classmethod
    def of(cls, weights_LR: FloatArray) -> Choices:
        """One list per row: the films with a positive weight, in proportion to it."""
        lists, films = np.nonzero(weights_LR)
        weights = weights_LR[lists, films].astype(np.float64)
        offsets = np.searchsorted(lists, np.arange(len(weights_LR) + 1))
        totals = np.bincount(lists, weights)
        probabilities = weights / totals[lists]
        sums = np.concatenate([[0.0], np.cumsum(probabilities)])
        ladder = lists + (sums[1:] - sums[offsets[lists]])
        return cls(offsets=offsets, films=films, probabilities=probabilities, ladder=ladder)

    def draw(self, lists_B: IntArray, uniform_B: FloatArray) -> IntArray:
        """[B] one film from each of the named lists."""
        entry_B = np.searchsorted(self.ladder, lists_B + uniform_B, side="right")
        return self.films[np.minimum(entry_B, self.offsets[lists_B + 1] - 1)]

    def spread(self, lists_B: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """All films of the named lists: the place in `lists_B`, the film and its probability."""
        lengths_B = np.diff(self.offsets)[lists_B]
        place_E = np.repeat(np.arange(len(lists_B)), lengths_B)
        first_B = self.offsets[lists_B] - np.concatenate([[0], np.cumsum(lengths_B)[:-1]])
        entry_E = np.arange(len(place_E)) + first_B[place_E]
        return place_E, self.films[entry_E], self.probabilities[entry_E]


@dataclass(frozen=True, kw_only=True)
class Viewers:
    """What is hidden in each viewer: a closed path of shelves, and how they walk along it.

    Attributes:
        shelf_US: the shelves of the path.
        country_US: the country whose films fill each of them.
        start_U: where on the path the viewer stands before the first film.
        speed_U: places walked per film seen.
    """

    shelf_US: IntArray
    country_US: IntArray
    start_U: FloatArray
    speed_U: FloatArray

    def taste(self, viewers_B: IntArray, steps_B: IntArray) -> FloatArray:
        """[B, S] the love of each place on the path after so many films; rows sum to 1."""
        places = self.shelf_US.shape[1]
        here_B = self.start_U[viewers_B] + self.speed_U[viewers_B] * steps_B
        apart_BS = (np.arange(places) - here_B[:, None]) % places
        apart_BS = np.minimum(apart_BS, places - apart_BS)
        love_BS = np.exp(-0.5 * (apart_BS / TASTE_WIDTH) ** 2)
        return love_BS / love_BS.sum(1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class Law:
    """All tables of the equation.

    Attributes:
        country_N, film_N, row_CR: the layout of the catalog, see `world_films.Cinema`.
        successor_N: the next film of the series, the first one after the last; itself if alone.
        similar: films like each film, one list per film.
        shelves: films of each shelf.
        fame_R: popularity of films inside their country.
        fame_C: popularity of the countries.
        viewers: what is hidden in them.
    """

    country_N: IntArray
    film_N: IntArray
    row_CR: IntArray
    successor_N: IntArray
    similar: Choices
    shelves: Choices
    fame_R: FloatArray
    fame_C: FloatArray
    viewers: Viewers

    def next_in_series(self, film_B: IntArray, history_BT: IntArray) -> IntArray:
        """[B] the first unseen film after this one in its series, from the start again after the
        last; -1 where all are seen, the film stands alone or is -1 itself."""
        next_B = np.full(len(film_B), -1, dtype=np.int64)
        open_B = np.flatnonzero(film_B >= 0)
        here_B = self.successor_N[film_B[open_B]]
        while len(open_B):
            seen = (history_BT[open_B] == here_B[:, None]).any(1)
            next_B[open_B[~seen]] = here_B[~seen]
            again = seen & (here_B != film_B[open_B])
            open_B, here_B = open_B[again], self.successor_N[here_B[again]]
        return next_B


class Oracle:
    """The best possible recommender: ranks by the true probability of being watched next.

    It answers for viewers of its own world, at the moment after the history in the query. Its
    scores are the probabilities.
    """

    def __init__(self, law: Law) -> None:
        self._law = law

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The k films most likely to be watched next.

        Returns:
            rows_BK (best first, -1 where there are fewer than k) and their probabilities (-inf
            there). Seen films have probability 0; they come last if the query does not exclude
            them.

        Raises:
            DataError: if a query does not say whose it is.
        """
        rows_BK = np.full((len(batch), k), -1, dtype=np.int64)
        scores_BK = np.full((len(batch), k), -np.inf)
        block = max(1, CELLS_PER_BLOCK // len(self._law.film_N))
        for start in range(0, len(batch), block):
            part = batch[start : start + block]
            scores_BN = self.probabilities(part)
            if part.exclude_seen:
                scores_BN[part.query_of_event, part.item_rows] = -np.inf
            if part.allowed_N is not None:
                scores_BN[:, ~part.allowed_N] = -np.inf
            best_BK = np.argpartition(-scores_BN, min(k, scores_BN.shape[1]) - 1)[:, :k]
            best_BK = np.sort(best_BK)  # equal scores in row order
            best = np.take_along_axis(scores_BN, best_BK, 1)
            order_BK = np.argsort(-best, kind="stable")
            best = np.take_along_axis(best, order_BK, 1)
            place = slice(start, start + block), slice(best.shape[1])
            scores_BK[place] = best
            rows_BK[place] = np.where(
                np.isneginf(best), -1, np.take_along_axis(best_BK, order_BK, 1)
            )
        return rows_BK, scores_BK

    def probabilities(self, batch: QueryBatch) -> FloatArray:
        """[B, N] P(next film | viewer, history); zero for films that were seen.

        Raises:
            DataError: if a query does not say whose it is.
        """
        law, viewers_B, films = self._law, batch.user_rows, len(self._law.film_N)
        if ((viewers_B < 0) | (viewers_B >= len(law.viewers.start_U))).any():
            raise DataError(
                "the oracle only knows the viewers of its own world; name the viewer in every "
                "query, as in Query(user=..., history=...), with the dataset's own user ids."
            )
        habits_BN = np.full((len(batch), films), WHIM / films)
        habits_BN += FAME * (law.fame_C[law.country_N] * law.fame_R[law.film_N])
        self._add_taste(habits_BN, viewers_B, np.diff(batch.offsets))
        self._add_recent(habits_BN, batch)
        habits_BN[batch.query_of_event, batch.item_rows] = 0
        return habits_BN / np.maximum(habits_BN.sum(1, keepdims=True), np.finfo(float).tiny)

    def _add_taste(self, habits_BN: FloatArray, viewers_B: IntArray, steps_B: IntArray) -> None:
        viewers = self._law.viewers
        for place, love_B in enumerate(viewers.taste(viewers_B, steps_B).T):
            lists_B = viewers.shelf_US[viewers_B, place]
            countries_B = viewers.country_US[viewers_B, place]
            self._add(habits_BN, TASTE * love_B, self._law.shelves, lists_B, countries_B)

    def _add_recent(self, habits_BN: FloatArray, batch: QueryBatch) -> None:
        law, steps_B = self._law, np.diff(batch.offsets)
        history_BT, _ = batch.last_items(int(steps_B.max(initial=1)), empty=-1)
        for back, share in enumerate(RECENCY):
            has_B = steps_B > back
            recent_B = np.full(len(batch), -1)
            recent_B[has_B] = batch.item_rows[(batch.offsets[1:] - 1 - back)[has_B]]
            next_B = law.next_in_series(recent_B, history_BT)
            goes_on = np.flatnonzero(next_B >= 0)
            habits_BN[goes_on, next_B[goes_on]] += SERIES * share
            films_B, countries_B = law.film_N[recent_B], law.country_N[recent_B]
            weights_B = MOOD * share * has_B
            self._add(habits_BN, weights_B, law.similar, films_B, countries_B)

    def _add(
        self,
        habits_BN: FloatArray,
        weights_B: FloatArray,
        choices: Choices,
        lists_B: IntArray,
        countries_B: IntArray,
    ) -> None:
        """Add one list of films per query, scaled by its weight."""
        query_E, film_E, probability_E = choices.spread(lists_B)
        row_E = self._law.row_CR[countries_B[query_E], film_E]
        there = row_E >= 0
        mass_E = weights_B[query_E] * probability_E
        np.add.at(habits_BN, (query_E[there], row_E[there]), mass_E[there])
