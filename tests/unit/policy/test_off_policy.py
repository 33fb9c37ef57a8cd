"""Off-policy estimates: by hand, against truths that are computed exactly, and in general."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlm.policy.off_policy import doubly_robust, ips, snips
from itemlm.policy.replay import fills, replay
from itemlm.types import DataError

FREE = {"least_effective": 0, "draws": 50}


def columns(*rows: tuple[float, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.array(rows, dtype=float).T)


# reward, logged propensity, target probability: weights 2, 0, 4, 1
LOG = columns((1, 0.5, 1), (1, 0.5, 0), (0, 0.25, 1), (1, 1, 1))


def test_by_hand() -> None:
    assert ips(*LOG, **FREE).reward.mean == (2 * 1 + 0 + 0 + 1) / 4
    assert snips(*LOG, **FREE).reward.mean == pytest.approx((2 + 0 + 0 + 1) / (2 + 0 + 4 + 1))
    # Predicted 0.5 for what was logged, 0.6 for what the target shows.
    robust = doubly_robust(*LOG, np.full(4, 0.5), np.full(4, 0.6), **FREE)
    assert robust.reward.mean == pytest.approx(0.6 + (2 * 0.5 + 0 - 4 * 0.5 + 1 * 0.5) / 4)


def test_what_is_told_of_the_weights() -> None:
    found = ips(*LOG, **FREE)
    assert found.effective == pytest.approx((2 + 4 + 1) ** 2 / (4 + 16 + 1))
    assert found.mean_weight.mean == 7 / 4
    assert (found.places, found.clipped) == (4, 0)
    cut = ips(*LOG, clip=1.5, **FREE)
    assert cut.clipped == 2 / 4
    assert cut.reward.mean == (1.5 + 0 + 0 + 1) / 4


def simulated(people: int, seed: int) -> tuple[np.ndarray, ...]:
    """Three kinds of people, four items, one place; predictions are off by a factor."""
    rng = np.random.default_rng(seed)
    x = rng.integers(3, size=people)
    item = (rng.random(people)[:, None] > LOGGED[x].cumsum(axis=1)).sum(axis=1).clip(max=3)
    reward = (rng.random(people) < CHANCE[x, item]).astype(float)
    predicted = 0.8 * CHANCE[x, item]
    expected = (TARGET * 0.8 * CHANCE).sum(axis=1)[x]
    return reward, LOGGED[x, item], TARGET[x, item], predicted, expected


rng = np.random.default_rng(7)
LOGGED = rng.dirichlet(np.ones(4) * 3, size=3)
TARGET = rng.dirichlet(np.ones(4), size=3)
CHANCE = rng.random((3, 4))
TRUTH = (TARGET * CHANCE).sum(axis=1).mean()


def test_estimates_are_right_on_average() -> None:
    # 400 logs of 200 places: the mean of the estimates is within 3 of its standard errors.
    found = {"IPS": [], "SNIPS": [], "DR": []}
    for seed in range(400):
        *log, predicted, expected = simulated(200, seed)
        for estimate in (
            ips(*log, draws=2),
            snips(*log, draws=2),
            doubly_robust(*log, predicted, expected, draws=2),
        ):
            found[estimate.method].append(estimate.reward.mean)
    spread = {name: np.std(values, ddof=1) for name, values in found.items()}
    for name in ("IPS", "DR"):
        assert abs(np.mean(found[name]) - TRUTH) < 3 * spread[name] / np.sqrt(400)
    assert np.mean(found["SNIPS"]) == pytest.approx(TRUTH, abs=0.01)  # biased by about 1/n
    # What SNIPS and DR are for.
    assert spread["SNIPS"] < spread["IPS"]
    assert spread["DR"] < spread["IPS"]
    # What the log itself earned is something else, so that the weights did matter.
    assert abs((LOGGED * CHANCE).sum(axis=1).mean() - TRUTH) > 0.05


def test_intervals_hold_the_truth() -> None:
    covered = dict.fromkeys(("IPS", "SNIPS", "DR"), 0)
    for seed in range(100):
        *log, predicted, expected = simulated(300, 1000 + seed)
        for estimate in (
            ips(*log, draws=200),
            snips(*log, draws=200),
            doubly_robust(*log, predicted, expected, draws=200),
        ):
            covered[estimate.method] += estimate.reward.low <= TRUTH <= estimate.reward.high
    assert min(covered.values()) >= 87  # fewer has a chance of 0.15 % at 95 %


def test_intervals_draw_people_with_all_their_places() -> None:
    # Every place four times: nothing new was learned if the same people did it.
    reward, logged, target, *_ = simulated(300, 0)
    log = [np.repeat(column, 4) for column in (reward, logged, target)]
    apart = ips(*log).reward
    together = ips(*log, unit_E=np.repeat(np.arange(300), 4)).reward
    once = ips(reward, logged, target).reward
    assert together.half_width == pytest.approx(once.half_width, rel=1e-9)
    assert apart.half_width == pytest.approx(once.half_width / 2, rel=0.1)


PLACES = st.lists(
    st.tuples(st.floats(-5, 5), st.floats(0.01, 1), st.floats(0.01, 1)), min_size=1, max_size=20
)


@given(PLACES)
def test_dr_without_a_model_is_ips(rows) -> None:
    log = columns(*rows)
    zero = np.zeros(len(rows))
    robust = doubly_robust(*log, zero, zero, **FREE)
    assert robust.reward == ips(*log, **FREE).reward


@given(PLACES, st.floats(-5, 5))
def test_snips_of_equal_rewards_is_that_reward(rows, reward: float) -> None:
    _, logged, target = columns(*rows)
    found = snips(np.full(len(rows), reward), logged, target, **FREE).reward
    assert (found.mean, found.low, found.high) == pytest.approx((reward,) * 3)


@given(PLACES)
def test_the_logged_policy_earned_what_was_logged(rows) -> None:
    reward, logged, _ = columns(*rows)
    for method in (ips, snips):
        found = method(reward, logged, logged, **FREE)
        assert found.reward.mean == pytest.approx(reward.mean())
        assert found.effective == pytest.approx(len(rows))


@given(PLACES, st.floats(0.1, 10))
def test_snips_stays_within_the_rewards(rows, clip: float) -> None:
    log = columns(*rows)
    found = snips(*log, clip=clip, **FREE).reward.mean
    assert log[0].min() - 1e-9 <= found <= log[0].max() + 1e-9


@pytest.mark.parametrize(
    ("log", "options", "words"),
    [
        (columns((1, 0, 1)), {}, "logged propensity of place 0 .* is 0, .* above 0, up to 1"),
        (columns((1, 1, 1), (1, np.nan, 1)), {}, "logged propensity of place 1 .* is nan"),
        (columns((1, 1.5, 1)), {}, "logged propensity of place 0 .* is 1.5"),
        (columns((1, 0.5, -0.1)), {}, "target probability of place 0 .* is -0.1"),
        (columns((np.inf, 0.5, 1)), {}, "reward of place 0 .* is inf"),
        (columns(*[(1, 0.5, 1)] * 29), {}, "effective sample is 29.0 of 29 .* at least 30"),
        (columns((1, 0.5, 0)), {"least_effective": 0}, "effective sample is 0.0"),
        (columns((1, 0.5, 1)), {"clip": 0}, "cut to 0, which is not positive"),
        (columns((1, 0.5, 1)), {"unit_E": np.arange(2), "least_effective": 0}, "2 persons"),
        ((np.ones(2), np.ones(3), np.ones(2)), {}, r"2 places, but .* has the shape \(3,\)"),
        ((np.array([]),) * 3, {}, "no logged place"),
    ],
)
def test_what_cannot_be_used_is_refused(log, options, words) -> None:
    with pytest.raises(DataError, match=words):
        ips(*log, **options)


# --- Replay -------------------------------------------------------------------------------------


def slates(*rows: tuple[str, str, int, float | None, bool]) -> pl.DataFrame:
    names = ["recommendation_id", "item_id", "place", "propensity", "clicked"]
    kinds = [pl.String, pl.String, pl.Int64, pl.Float64, pl.Boolean]
    schema = dict(zip(names, kinds, strict=True))
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(unit=pl.col("recommendation_id").rank("dense"))


def test_a_ranking_fills_each_place_after_those_above_it() -> None:
    log = slates(
        ("r1", "b", 1, 0.5, False),  # the model wanted a
        ("r1", "a", 2, 0.5, False),  # and wants it still
        ("r1", "c", 3, 0.5, False),  # a and b stand above: c is next
        ("r2", "a", 1, 0.5, False),
        ("r2", "d", 2, 0.5, False),  # b is wanted, but pinned below; then c
        ("r2", "b", 3, 1.0, False),  # a pin
        ("r3", "a", 1, 0.5, False),
    )
    rankings = {"r1": ["a", "b", "c"], "r2": ["a", "b", "c"], "r3": []}
    found = fills(log, rankings)
    assert found[[0, 1, 2]].tolist() == [False, True, True]
    assert found[[3, 4]].tolist() == [True, False]
    assert not found[6]


def test_replay_finds_the_truth_of_a_world_with_two_places() -> None:
    # Three items. The log fills place 1 by (0.5, 0.3, 0.2) and place 2 by what is left of these
    # chances. The model ranks 2, 0, 1. A click depends on the item and the place.
    chance = np.array([0.5, 0.3, 0.2])
    click = np.array([[0.2, 0.5, 0.8], [0.1, 0.6, 0.3]])
    ranking = [2, 0, 1]
    first = click[0, 2]
    second = sum(
        chance[above] * click[1, next(item for item in ranking if item != above)]
        for above in range(3)
    )
    rng, slate_count = np.random.default_rng(0), 8000
    rows = []
    for number in range(slate_count):
        above = int(rng.choice(3, p=chance))
        left = np.where(np.arange(3) == above, 0, chance) / (1 - chance[above])
        below = int(rng.choice(3, p=left))
        for place, (item, logged) in enumerate([(above, chance[above]), (below, left[below])]):
            clicked = bool(rng.random() < click[place, item])
            rows.append((f"r{number:04}", str(item), place + 1, float(logged), clicked))
    log = slates(*rows)
    rankings = {f"r{number:04}": [str(item) for item in ranking] for number in range(slate_count)}
    found = replay(log, rankings)
    for estimate in found.estimates.values():
        assert estimate.reward.mean == pytest.approx((first + second) / 2, abs=0.03)
        assert estimate.reward.low < (first + second) / 2 < estimate.reward.high
        assert estimate.mean_weight.low < 1 < estimate.mean_weight.high
    assert found.logged.reward.mean == log["clicked"].mean()
    assert found.left_out == 0


def test_replay_needs_chance() -> None:
    log = slates(("r1", "a", 1, None, True), ("r1", "b", 2, 1.0, True))
    with pytest.raises(DataError, match="no place was logged with a propensity below 1"):
        replay(log, {"r1": ["a"]})
