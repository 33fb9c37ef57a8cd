"""Shaping: worked examples, the rules that no slate breaks, and a plain Python oracle of all."""

from __future__ import annotations

from collections import Counter
from math import exp, inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.serve.rules.shaping import Pool, Rules, relevance, shape, values

quick = settings(max_examples=150, deadline=None)


def pool(scores: list[float], **parts: Any) -> Pool:
    """Candidates in rows 100, 101, ..."""
    arrays = {name: np.array(part, dtype=np.float64) for name, part in parts.items()}
    return Pool(rows_C=100 + np.arange(len(scores)), scores_C=np.array(scores), **arrays)


def rows(slate: Any) -> list[int]:
    return [row - 100 for row in slate.rows_K.tolist()]


# --- Relevance and value --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # 0.01 + 0.99 * (score - lowest) / (highest - lowest)
        ([-1, -2, -5], [1, 0.01 + 0.99 * 3 / 4, 0.01]),
        ([9, 9, 9], [1, 1, 1]),
        ([3, 1, -inf], [1, 0.01, 0]),
        ([-inf, -inf], [0, 0]),
        ([inf, 3, 1], [1, 1, 0.01]),
        ([1e308, 0, -1e308], [1, 0.505, 0.01]),
        ([5e-324, 0], [1, 0.01]),
        ([4, nan, 2], [1, 1, 0.01]),
        ([nan, 4, 2], [1, 1, 0.01]),
        ([nan, nan, nan], [1, 0.505, 0.01]),
        ([3, 1, 2], [1, 0.01, 0.01]),
        ([], []),
    ],
)
def test_relevance_is_the_place_of_a_score_between_the_lowest_and_the_highest(
    scores: list[float], expected: list[float]
) -> None:
    assert relevance(np.array(scores, dtype=np.float64)).tolist() == pytest.approx(expected)


def test_a_factor_of_100_lifts_the_last_candidate_to_the_best_one() -> None:
    boost = (np.array([False, False, True]), 100.0)
    assert values(pool([3, 2, 1]), Rules(boosts=[boost])).tolist() == pytest.approx([1, 0.505, 1])
    boost = (np.array([False, False, True]), 100.1)
    assert rows(shape(pool([3, 2, 1]), Rules(boosts=[boost]), 3)) == [2, 0, 1]


def test_several_boosts_multiply_and_then_novelty_is_mixed_in() -> None:
    boosts = [(np.array([True, False]), 0.5), (np.array([True, True]), 4.0)]
    rules = Rules(boosts=boosts, novelty=0.25)
    made = values(pool([3, 1], popularity_C=[0.9, 0.2]), rules)
    assert made.tolist() == pytest.approx([0.75 * 2 + 0.25 * 0.1, 0.75 * 0.04 + 0.25 * 0.8])


def test_full_novelty_is_the_least_popular_first() -> None:
    candidates = pool([3, 2, 1], popularity_C=[0.9, 0.1, 0.5])
    assert rows(shape(candidates, Rules(novelty=1), 3)) == [1, 2, 0]


# --- Diversity, limits and pins -------------------------------------------------------------------

# 0 and 1 are alike, 2 is unlike them, 3 is the opposite of them.
VECTORS = [[1, 0], [1, 0], [0, 1], [-1, 0]]


def test_diversity_passes_over_what_is_like_the_slate() -> None:
    """At 0.5, doubled: behind 0, candidate 1 has 0.67 - 1, candidate 2 has 0.34 - 0, 3 0.01 + 1."""
    candidates = pool([4, 3, 2, 1], vectors_CD=VECTORS)
    assert rows(shape(candidates, Rules(diversity=0.5), 4)) == [0, 3, 2, 1]
    # At 0.1: 0.9 * 0.67 - 0.1, 0.9 * 0.34 - 0 and 0.9 * 0.01 + 0.1.
    assert rows(shape(candidates, Rules(diversity=0.1), 4)) == [0, 1, 2, 3]


def test_no_text_is_like_no_text() -> None:
    candidates = pool([4, 3, 2], vectors_CD=[[0, 0], [0, 0], [0, 1]])
    assert rows(shape(candidates, Rules(diversity=1), 3)) == [0, 1, 2]


def test_limits_hold_for_every_value_of_an_item() -> None:
    genres = [["war", "drama"], ["war"], [], ["drama", "drama"], [], ["love"]]
    slate = shape(pool([6, 5, 4, 3, 2, 1]), Rules(limits=[(genres, 1)]), 6)
    assert rows(slate) == [0, 2, 4, 5]
    assert rows(shape(pool([6, 5, 4, 3, 2, 1]), Rules(limits=[(genres, 2)]), 6)) == list(range(6))


def test_pins_have_their_places() -> None:
    slate = shape(pool([4, 3, 2, 1]), Rules(pins={1: 102, 3: 7, 9: 103}), 4)
    assert slate.rows_K.tolist() == [102, 100, 7, 101]
    assert slate.scores_K.tolist() == pytest.approx([2, 4, nan, 3], nan_ok=True)
    assert slate.pinned_K.tolist() == [True, False, True, False]
    assert slate.propensities_K is None


def test_pins_move_up_where_nothing_can_stand_before_them() -> None:
    slate = shape(pool([4, 3]), Rules(pins={5: 7}), 6)
    assert slate.rows_K.tolist() == [100, 101, 7]
    assert shape(pool([]), Rules(pins={5: 7}), 6).rows_K.tolist() == [7]
    assert shape(pool([]), Rules(), 6).rows_K.tolist() == []


def test_pins_count_for_limits_and_similarity_from_the_start() -> None:
    brands = [["Acme"], ["Apex"], ["Acme"], ["Acme"]]
    # Two pins break the limit that is asked for; nothing else of their brand comes in.
    slate = shape(pool([4, 3, 2, 1]), Rules(limits=[(brands, 1)], pins={3: 102, 4: 103}), 4)
    assert rows(slate) == [1, 2, 3]
    candidates = pool([4, 3, 2, 1], vectors_CD=VECTORS)
    assert rows(shape(candidates, Rules(diversity=0.5, pins={4: 101}), 4)) == [3, 2, 0, 1]


# --- Against the definition in plain Python -------------------------------------------------------


def plain_chances(given_pool: Pool, rules: Rules, taken: list[int], pinned: list[int]) -> Any:
    """What each candidate is worth for the next place, None where it may not stand there."""
    value_C = values(given_pool, rules)
    worth: list[float | None] = []
    for candidate in range(len(given_pool)):
        broken = any(
            sum(value in values_C[other] for other in {*taken, *pinned}) >= most
            for values_C, most in rules.limits
            for value in values_C[candidate]
        )
        if candidate in {*taken, *pinned} or broken:
            worth.append(None)
            continue
        similarity = 0.0
        if given_pool.vectors_CD is not None and (taken or pinned):
            vectors = given_pool.vectors_CD
            similarity = max(
                float(sum(vectors[candidate] * vectors[other])) for other in {*taken, *pinned}
            )
        worth.append(
            (1 - rules.diversity) * float(value_C[candidate]) - rules.diversity * similarity
        )
    return worth


def plain_slate(given_pool: Pool, rules: Rules, k: int) -> list[int]:
    """The slate by the definition: rows of the catalog."""
    row_of = given_pool.rows_C.tolist()
    pins = {place: row for place, row in rules.pins.items() if place <= k}
    pinned = [row_of.index(row) for row in pins.values() if row in row_of]
    taken: list[int] = []
    slate: list[int] = []
    for place in range(1, k + 1):
        if place in pins:
            slate.append(pins[place])
            continue
        worth = plain_chances(given_pool, rules, taken, pinned)
        free = [candidate for candidate, one in enumerate(worth) if one is not None]
        if free:
            taken.append(max(free, key=lambda candidate: worth[candidate]))
            slate.append(row_of[taken[-1]])
    return slate


EIGHTH = st.integers(0, 8).map(lambda eighths: eighths / 8)  # exact in binary: ties stay ties


@st.composite
def tasks(draw: st.DrawFn) -> tuple[Pool, Rules, int]:
    size = draw(st.integers(0, 7))

    def many(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(one, min_size=size, max_size=size)

    scores = sorted(draw(many(st.integers(-4, 4) | st.just(-inf))), reverse=True)
    units = st.sampled_from([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0], [0.6, 0.8]])
    made = pool(
        scores,
        vectors_CD=np.array(draw(many(units))).reshape(size, 2),
        popularity_C=draw(many(EIGHTH)),
    )
    several = st.lists(st.sampled_from("xyz"), max_size=2)
    places = draw(st.lists(st.integers(1, 9), unique=True, max_size=3))
    pinned = draw(
        st.lists(st.integers(98, 108), unique=True, min_size=len(places), max_size=len(places))
    )
    boosts = st.tuples(many(st.booleans()).map(lambda mask: np.array(mask, dtype=bool)), EIGHTH)
    rules = Rules(
        boosts=draw(st.lists(boosts, max_size=2)),
        limits=draw(st.lists(st.tuples(many(several), st.integers(1, 3)), max_size=2)),
        pins=dict(zip(places, pinned, strict=True)),
        diversity=draw(EIGHTH),
        novelty=draw(EIGHTH),
        explore=draw(EIGHTH),
    )
    return made, rules, draw(st.integers(1, 9))


def without(rules: Rules, **changes: Any) -> Rules:
    return Rules(**{**vars(rules), **changes})


@quick
@given(tasks())
def test_a_slate_is_what_the_definition_says(task: tuple[Pool, Rules, int]) -> None:
    made, rules, k = task
    rules = without(rules, explore=0.0)
    assert shape(made, rules, k).rows_K.tolist() == plain_slate(made, rules, k)


@quick
@given(tasks())
def test_without_rules_a_slate_is_the_head_of_the_pool(task: tuple[Pool, Rules, int]) -> None:
    made, _, k = task
    slate = shape(made, Rules(), k)
    assert slate.rows_K.tolist() == made.rows_C[:k].tolist()
    assert slate.scores_K.tolist() == made.scores_C[:k].tolist()


@quick
@given(tasks(), st.integers(0, 9))
def test_what_no_slate_breaks(task: tuple[Pool, Rules, int], seed: int) -> None:
    made, rules, k = task
    slate = shape(made, rules, k, np.random.default_rng(seed))
    shown = slate.rows_K.tolist()
    pins = {place: row for place, row in rules.pins.items() if place <= k}
    assert len(set(shown)) == len(shown) <= k
    assert set(shown) <= set(made.rows_C.tolist()) | set(pins.values())
    assert set(pins.values()) == {shown[place] for place in np.flatnonzero(slate.pinned_K)}
    if len(shown) == k:
        assert all(shown[place - 1] == row for place, row in pins.items())
    for values_C, most in rules.limits:
        held = {row: set(values_C[place]) for place, row in enumerate(made.rows_C.tolist())}
        count = Counter(value for row in shown for value in held.get(row, ()))
        by_pins = Counter(value for row in pins.values() for value in held.get(row, ()))
        assert all(count[value] <= max(most, by_pins[value]) for value in count)
    if rules.explore:
        assert slate.propensities_K is not None
        assert ((slate.propensities_K > 0) & (slate.propensities_K <= 1)).all()
        assert (slate.propensities_K[slate.pinned_K] == 1).all()


# --- Exploration ----------------------------------------------------------------------------------


def test_at_one_half_a_tenth_of_relevance_is_a_factor_of_e() -> None:
    """Relevance 1, 0.505 and 0.01; temperature 0.1 * 0.5 / 0.5."""
    candidates = pool([3, 2, 1])
    weight = [exp(1 / 0.1), exp(0.505 / 0.1), exp(0.01 / 0.1)]
    slate = shape(candidates, Rules(explore=0.5), 3, np.random.default_rng(0))
    left = sum(weight)
    for row, propensity in zip(rows(slate), slate.propensities_K, strict=True):
        assert propensity == pytest.approx(weight[row] / left)
        left -= weight[row]


@quick
@given(tasks(), st.integers(0, 9))
def test_a_propensity_is_the_share_of_an_item_in_what_may_stand_at_its_place(
    task: tuple[Pool, Rules, int], seed: int
) -> None:
    made, rules, k = task
    rules = without(rules, explore=0.5)
    slate = shape(made, rules, k, np.random.default_rng(seed))
    row_of = made.rows_C.tolist()
    pins = [row for place, row in rules.pins.items() if place <= k]
    pinned = [row_of.index(row) for row in pins if row in row_of]
    taken: list[int] = []
    for place, row in enumerate(slate.rows_K.tolist()):
        if slate.pinned_K[place]:
            continue
        worth = plain_chances(made, rules, taken, pinned)
        weights = {one: exp(v / 0.1) for one, v in enumerate(worth) if v is not None}
        chosen = row_of.index(row)
        assert slate.propensities_K[place] == pytest.approx(weights[chosen] / sum(weights.values()))
        taken.append(chosen)


def test_items_are_drawn_as_often_as_their_propensities_say() -> None:
    """Slates of two among four: each of the 12 is as frequent as the product of propensities."""
    candidates = pool([4, 3.8, 3.5, 1], vectors_CD=VECTORS)
    rules = Rules(explore=0.6, diversity=0.2)
    rng, draws = np.random.default_rng(20), 20_000
    count: Counter[tuple[int, ...]] = Counter()
    chance: dict[tuple[int, ...], float] = {}
    for _ in range(draws):
        slate = shape(candidates, rules, 2, rng)
        key = tuple(rows(slate))
        count[key] += 1
        chance[key] = float(slate.propensities_K.prod())
    assert len(chance) == 12
    assert sum(chance.values()) == pytest.approx(1)
    chi_square = sum((count[key] - draws * p) ** 2 / (draws * p) for key, p in chance.items())
    assert chi_square < 31.3  # 11 degrees of freedom: passed by one seed in a thousand


def test_all_is_left_to_chance_or_next_to_nothing() -> None:
    candidates = pool([3, 3, 1])
    slate = shape(candidates, Rules(explore=1), 3, np.random.default_rng(1))
    assert slate.propensities_K.tolist() == pytest.approx([1 / 3, 1 / 2, 1])
    # Equal candidates are drawn evenly however little is left to chance.
    slate = shape(candidates, Rules(explore=5e-324), 3, np.random.default_rng(1))
    assert slate.propensities_K.tolist() == pytest.approx([1 / 2, 1, 1])
    assert rows(slate)[2] == 2


def test_one_seed_gives_one_slate() -> None:
    candidates, rules = pool(list(range(50, 0, -1))), Rules(explore=0.7)
    first, again, other = (
        rows(shape(candidates, rules, 20, np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    assert first == again != other


# --- What cannot be shaped ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"diversity": 0.1}, "needs the vectors"),
        ({"novelty": 0.1}, "needs the popularity"),
        ({"explore": 0.1}, "needs a source of chance"),
        ({"diversity": 1.1}, "diversity is 1.1"),
        ({"explore": nan}, "explore is nan"),
        ({"pins": {0: 100}}, "begin with 1"),
        ({"limits": [([[], []], 0)]}, "begin with 1"),
        ({"pins": {1: 100, 2: 100}}, "pinned to two places"),
    ],
)
def test_rules_that_cannot_be_followed(rules: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        shape(pool([2, 1]), Rules(**rules), 2)


def test_pools_that_are_none() -> None:
    with pytest.raises(ValueError, match="every candidate"):
        pool([2, 1], popularity_C=[0.5])
    with pytest.raises(ValueError, match="twice"):
        Pool(rows_C=np.array([1, 1]), scores_C=np.array([2.0, 1.0]))
