"""Two groups side by side: figures by hand, truths of simulated logs."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from itemlm.evaluation.results import as_plain
from itemlm.policy.comparison import (
    DETECTABLE_ERRORS,
    GroupComparison,
    compare_groups,
    sample_ratio,
)
from itemlm.policy.words import cautions, findings
from itemlm.types import ConfigError, DataError, UnknownName

CTR = "click-through rate"


def log(rows: list[tuple[str | None, str | None, int]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A log of slates with two items, as (person, group, clicked items).

    The first clicked item is bought for 3.
    """
    shown, outcomes = [], []
    for number, (person, group, clicks) in enumerate(rows):
        name = f"r{number}"
        for place in (1, 2):
            shown.append((name, number, person, f"model-{group}", "x", group, f"i{place}", place))
        outcomes += [(name, f"i{place}", "click", None) for place in range(1, clicks + 1)]
        outcomes += [(name, "i1", "purchase", 3.0)] * (clicks > 0)
    columns = ["recommendation_id", "at", "person", "model", "experiment", "group", "item_id"]
    kinds = dict.fromkeys(columns, pl.String) | {"at": pl.Int64, "place": pl.Int64}
    frame = pl.DataFrame(shown, schema=kinds, orient="row")
    schema = {"recommendation_id": pl.String, "item_id": pl.String, "kind": pl.String}
    return (
        frame.with_columns(propensity=pl.lit(None, pl.Float64)),
        pl.DataFrame(outcomes, schema={**schema, "value": pl.Float64}, orient="row"),
    )


def people(group: str, rate: float, number: int, seed: int) -> list[tuple[str, str, int]]:
    """People with one to three slates; each has a rate of their own around the given one."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(number):
        own = rng.beta(4 * rate, 4 * (1 - rate))
        clicks = (rng.random(rng.integers(1, 4)) < own).tolist()
        rows += [(f"{group}{person}", group, int(clicked)) for clicked in clicks]
    return rows


SMALL = [("ann", "a", 2), ("ann", "a", 0), ("bob", "a", 0), ("cy", "b", 1), ("di", "b", 1)]


def compared(rows, **options) -> GroupComparison:
    return compare_groups(*log(rows), "a", "b", **options)


def test_figures_by_hand() -> None:
    found = compared(SMALL)
    assert (found.a.slates, found.a.people, found.a.items, found.a.clicks) == (3, 2, 6, 1)
    assert found.a.models == ("model-a",)
    means = {
        metric: (found.a.metrics[metric].mean, found.b.metrics[metric].mean)
        for metric in found.differences
    }
    assert means == {
        CTR: (1 / 3, 2 / 2),
        "click-through rate of items": (2 / 6, 2 / 4),
        "conversion rate": (1 / 3, 2 / 2),
        "value per slate": (3 / 3, 6 / 2),
    }
    assert found.differences[CTR].estimate.mean == pytest.approx(2 / 3)


def test_the_interval_draws_people_with_all_their_slates() -> None:
    # Draws of a: ann twice 2/4, ann and bob 1/3, bob twice 0/2; all of b clicked.
    estimate = compared(SMALL).a.metrics[CTR]
    assert (estimate.low, estimate.high) == pytest.approx((0, 0.5))
    assert compared(SMALL).b.metrics[CTR].low == 1


def test_the_p_value_counts_every_way_to_share_people() -> None:
    # ann (1 of 2 slates), bob (0 of 1), cy and di (1 of 1): pairs in a, and the difference b - a:
    #   ann bob 1/3 -> +2/3, ann cy 2/3 -> -1/6, ann di same, bob cy 1/2 -> +1/6, bob di same,
    #   cy di 1 -> -2/3. As far as 2/3: two of six.
    found = compared(SMALL, permutations=30_000)
    assert found.differences[CTR].p_value == pytest.approx(2 / 6, abs=0.01)


def test_a_real_difference_is_found_and_said() -> None:
    found = compared(people("a", 0.1, 1500, 0) + people("b", 0.2, 1500, 1))
    difference = found.differences[CTR]
    assert difference.clear
    assert difference.estimate.low < 0.1 < difference.estimate.high
    assert findings(found)[0].startswith("b is clicked more than a: +")
    assert "points [+" in findings(found)[0]
    assert "p < 0.001" in findings(found)[0]


def test_no_difference_is_said_with_what_would_have_been_found() -> None:
    found = compared(people("a", 0.2, 300, 0) + people("b", 0.2, 300, 1))
    sentence = findings(found)[0]
    assert "a and b are not told apart by click-through rate" in sentence
    size = 100 * found.differences[CTR].detectable
    assert f"A true difference of {size:.2f} points would be found in 80% of such" in sentence


def test_the_detectable_difference_is_the_textbook_formula_for_one_slate_each() -> None:
    rng = np.random.default_rng(0)
    rows = [(f"{g}{n}", g, int(rng.random() < 0.3)) for g in "ab" for n in range(2000)]
    p_a, p_b = (np.mean([clicks for _, group, clicks in rows if group == g]) for g in "ab")
    error = math.sqrt((p_a * (1 - p_a) + p_b * (1 - p_b)) / 2000)
    assert pytest.approx(1.959964 + 0.841621) == DETECTABLE_ERRORS
    assert compared(rows).differences[CTR].detectable == pytest.approx(
        DETECTABLE_ERRORS * error, rel=0.05
    )


def test_intervals_hold_the_truth_and_tests_are_fair() -> None:
    # No difference in truth, slates of a person alike: 60 logs, 95 % and 5 % expected.
    covered, found = 0, 0
    for seed in range(60):
        rows = people("a", 0.3, 80, 2 * seed) + people("b", 0.3, 80, 2 * seed + 1)
        difference = compared(rows, draws=300, permutations=300).differences[CTR]
        covered += difference.estimate.low <= 0 <= difference.estimate.high
        found += difference.p_value < 0.05
    assert covered >= 51  # fewer has a chance of 0.1 % at 95 %
    assert found <= 9


def test_kinds_experiments_and_models() -> None:
    shown, outcomes = log(SMALL)
    bought = compare_groups(shown, outcomes, "a", "b", clicks=["purchase"])
    assert bought.a.metrics["click-through rate of items"].mean == 1 / 6
    by_model = compare_groups(shown, outcomes, "model-a", "model-b", by="model")
    assert by_model.differences[CTR] == pytest.approx(compared(SMALL).differences[CTR])
    assert any("Unless chance decided who saw which" in line for line in cautions(by_model))
    other = shown.with_columns(experiment=pl.lit("y"), person=pl.lit("eve"))
    other = other.with_columns(recommendation_id="y" + pl.col("recommendation_id"))
    both = pl.concat([shown, other])
    assert compare_groups(both, outcomes, "a", "b", experiment="x").a.slates == 3
    assert compare_groups(both, outcomes, "a", "b").a.slates == 6


def test_cautions_by_hand() -> None:
    rows = [*SMALL, ("ann", "b", 0), (None, "a", 0), ("eve", None, 0), (None, None, 0)]
    found = compared(rows)
    assert found.saw_both == 1
    assert found.unlabelled == 2 / 9
    assert found.strangers == 1 / 7
    text = " ".join(cautions(found))
    assert (
        "20.0% of the people (1) saw both groups" in text
    )  # ann, of ann, bob, cy, di and a stranger
    assert "22.2% of the slates have no known group" in text
    assert "14.3% of the slates were shown to unknown people" in text
    assert "Of b there are 3 people and 2 slates with a click" in text


def test_a_metric_that_nobody_scored_on() -> None:
    nothing = [(f"{g}{n}", g, 0) for g in "ab" for n in range(5)]
    found = compared(nothing)
    assert found.differences["value per slate"].p_value == 1
    assert findings(found)[0] == "Nothing was logged that counts for the click-through rate."
    json.dumps(as_plain(found), allow_nan=False)


@pytest.mark.parametrize(
    ("rows", "options", "error", "words"),
    [
        (SMALL[:3], {}, UnknownName, "no group in this log 'b'. Valid: a"),
        (SMALL[:4], {}, DataError, "only 1 person saw 'b'"),
        (SMALL, {"experiment": "z"}, UnknownName, "no experiment in this log 'z'"),
        (SMALL, {"planned": (1, 0)}, ConfigError, "1 and 0, but both must be positive"),
    ],
)
def test_what_cannot_be_compared(rows, options, error, words) -> None:
    with pytest.raises(error, match=words):
        compared(rows, **options)
    with pytest.raises(ConfigError, match="with itself"):
        compare_groups(*log(SMALL), "a", "a")


# --- Sample ratio -------------------------------------------------------------------------------


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.floats(0.01, 100))
def test_the_sample_ratio_test_is_scipys(a: int, b: int, odds: float) -> None:
    expected = np.array([odds, 1]) / (odds + 1) * (a + b)
    theirs = stats.chisquare([a, b], expected).pvalue
    assert sample_ratio(a, b, (odds, 1)).p_value == pytest.approx(theirs, rel=1e-6, abs=1e-12)


def test_people_who_were_not_shared_as_planned_are_told() -> None:
    rows = people("a", 0.2, 400, 0) + people("b", 0.2, 250, 1)
    bad = compared(rows, planned=(50, 50))
    assert bad.ratio is not None
    assert bad.ratio.mismatch
    # (400 - 325)^2 / 325 + (250 - 325)^2 / 325 = 34.6, whose tail is 4e-9.
    assert bad.ratio.p_value == pytest.approx(4.0e-9, rel=0.05)
    assert cautions(bad)[0].startswith("Sample ratio mismatch: 400 and 250 people saw a and b, ")
    good = compared(rows, planned=(400, 250))
    assert good.ratio is not None
    assert not good.ratio.mismatch
    assert not any("mismatch" in line for line in cautions(good))


@given(st.permutations(SMALL), st.integers(0, 3))
def test_the_order_of_a_log_changes_nothing(rows, seed: int) -> None:
    few = {"draws": 20, "permutations": 20, "seed": seed}
    assert compared(rows, **few) == compared(SMALL, **few)
