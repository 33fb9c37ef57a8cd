"""Evaluation from end to end, on worlds small enough to check by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from itemlm.data.held_out import HeldOut
from itemlm.evaluation import Cost, evaluate
from itemlm.types import (
    BoolArray,
    ConfigError,
    DataError,
    FloatArray,
    IntArray,
    QueryBatch,
    UnknownName,
)

ITEMS = 30


def questions(
    count: int = 200, per_user: int = 1, targets: int = 1, repeat: bool = False
) -> HeldOut:
    """Question q has history [0, 1] and the target 2 + q % 20 (and 1, if repeats are wanted)."""
    first = 2 + np.arange(count) % 20
    rows = np.concatenate([first[:, None] + np.arange(targets)[None]], axis=1)
    if repeat:
        rows[::4, 0] = 1
    return HeldOut(
        queries=QueryBatch(
            offsets=2 * np.arange(count + 1),
            item_rows=np.tile([0, 1], count),
            user_rows=np.arange(count) // per_user,
        ),
        target_offsets=targets * np.arange(count + 1),
        target_rows=rows.ravel(),
        train_counts_N=np.arange(ITEMS)[::-1].copy(),
        protocol="by hand",
        tied_Q=np.arange(count) % 4 == 0,  # a quarter
        part="test",
    )


class Skilled:
    """Puts the target at the place that `place_Q` says (10 and more: nowhere), by user row."""

    def __init__(self, held_out: HeldOut, place_Q: IntArray) -> None:
        self.target_Q = held_out.target_rows[held_out.target_offsets[:-1]]
        self.place_Q = np.asarray(place_Q)
        self.asked: list[BoolArray | bool] = []

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        self.asked.append(batch.exclude_seen)
        rows_BK = np.empty((len(batch), k), dtype=np.int64)
        for b, user in enumerate(batch.user_rows.tolist()):
            others = [i for i in range(2, ITEMS) if i != self.target_Q[user]]
            place = int(self.place_Q[user])
            shown = self.target_Q[user] > 1 and place < k
            rows = [*others[:place], self.target_Q[user], *others[place:]] if shown else others
            rows_BK[b] = rows[:k]
        return rows_BK, np.tile(-np.arange(k, dtype=float), (len(batch), 1))


def at(place: int, count: int = 200) -> IntArray:
    return np.full(count, place)


def test_figures_by_hand() -> None:
    held_out = questions()
    place_Q = np.where(np.arange(200) % 2 == 0, 0, 2)  # first place or third place
    model = Skilled(held_out, place_Q)
    report = evaluate({"model": model}, held_out, bootstrap=200)
    found = report["model"]
    assert found["R@10"].mean == 1
    assert found["NDCG@10"].mean == pytest.approx((1 + 1 / np.log2(4)) / 2)
    assert found["MRR@5"].mean == pytest.approx((1 + 1 / 3) / 2)
    assert found["Precision@5"].mean == pytest.approx(1 / 5)
    assert found["N@10"].low < found["N@10"].mean < found["N@10"].high
    assert found.values["MRR@10"].tolist()[:3] == pytest.approx([1, 1 / 3, 1])
    assert (found.tied_lists, found.short_lists, found.seeds) == (0, 0, 1)
    assert found.timing.latency_ms > 0
    assert found.timing.questions_per_second > 0


def test_everyone_is_asked_to_leave_out_the_history() -> None:
    held_out = questions()
    model = Skilled(held_out, at(0))
    evaluate({"model": model}, held_out, bootstrap=100)
    assert model.asked
    assert all(model.asked)


def test_seeds_are_averaged_question_by_question_and_their_spread_is_told() -> None:
    held_out = questions()
    seeds = [Skilled(held_out, at(0)), Skilled(held_out, at(1)), Skilled(held_out, at(99))]
    found = evaluate({"model": seeds}, held_out, bootstrap=100)["model"]
    second = 1 / np.log2(3)
    assert found.seeds == 3
    assert found["N@10"].mean == pytest.approx((1 + second + 0) / 3)
    assert found["N@10"].seed_spread == pytest.approx(np.std([1, second, 0], ddof=1))
    assert found.by_seed["NDCG@10"] == pytest.approx((1, second, 0))
    assert len(found.lists_fingerprint) == len(found.lists) == 3
    # All questions have the same mean over seeds, so drawing other users changes nothing.
    assert found["N@10"].low == pytest.approx(found["N@10"].high)


class AllOrNothing:
    """Lists every possible target (items 2 to 21) to users of even blocks, none to the others."""

    def __init__(self, block: int) -> None:
        self.block = block

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        rows_BK = np.full((len(batch), k), -1)
        served_B = batch.user_rows // self.block % 2 == 0
        rows_BK[served_B, :20] = np.arange(2, 22)
        rows_BK[~served_B, :8] = np.arange(22, 30)
        return rows_BK, np.where(rows_BK < 0, -np.inf, -np.arange(k, dtype=float))


def test_questions_of_one_user_widen_the_interval() -> None:
    # Every second block of 20 questions is answered: once as 10 users, once as 200.
    few, many = questions(per_user=20), questions()
    by_user = evaluate({"m": AllOrNothing(1)}, few, ks=(20,), bootstrap=500)["m"]["R@20"]
    alone = evaluate({"m": AllOrNothing(20)}, many, ks=(20,), bootstrap=500)["m"]["R@20"]
    assert by_user.mean == alone.mean == 0.5
    assert by_user.half_width > 3 * alone.half_width


def test_a_clear_difference_is_found_and_a_trifle_is_not() -> None:
    held_out = questions()
    trifle = at(1)
    trifle[:1] = 0
    report = evaluate(
        {
            "popularity": Skilled(held_out, at(99)),
            "sasrec": Skilled(held_out, at(1)),
            "better": Skilled(held_out, at(0)),
            "same": Skilled(held_out, trifle),
        },
        held_out,
        bootstrap=500,
    )
    assert report.conditions.baselines == ("sasrec", "popularity")
    better = report.comparison("better", "NDCG@10")
    same = report.comparison("same", "NDCG@10")
    assert better is not None
    assert same is not None
    assert better.difference.mean == pytest.approx(1 - 1 / np.log2(3))
    assert better.p_holm < 0.001
    assert better.stars == "***"
    assert same.p_value == 1  # one question differs: either sign is as far from 0
    assert same.stars == "n.s."
    # Each pair once: popularity minus sasrec, but not the reverse; 3 + 2 pairs, 2 metrics.
    assert report.comparison("sasrec", "NDCG@10", baseline="popularity") is None
    assert len(report.comparisons) == (3 + 2) * 2


def test_the_oracle_is_a_measure_and_no_contestant() -> None:
    held_out = questions()
    report = evaluate(
        {"oracle": Skilled(held_out, at(0)), "model": Skilled(held_out, at(2))},
        held_out,
        oracle="oracle",
        baseline="model",
        bootstrap=100,
    )
    assert report["model"].of_oracle == pytest.approx({"NDCG@10": 1 / np.log2(4), "Recall@10": 1})
    assert report.comparisons == ()


def test_repeated_targets_are_counted_and_left_out_of_a_second_set_of_figures() -> None:
    held_out = questions(repeat=True)  # every fourth target is item 1, which is in the history
    report = evaluate({"model": Skilled(held_out, at(0))}, held_out, bootstrap=100)
    assert report.conditions.repeats == 0.25
    assert report["model"]["R@10"].mean == 0.75
    new_only = report["model"].new_only
    assert new_only is not None
    assert new_only["Recall@10"].mean == 1
    assert (
        evaluate({"m": Skilled(questions(), at(0))}, questions(), bootstrap=100)["m"].new_only
        is None
    )


def test_slices_restrict_questions() -> None:
    held_out = questions()
    hit_Q = np.where(held_out.target_rows < 10, 0, 99)  # only popular targets are found
    result = evaluate({"model": Skilled(held_out, hit_Q)}, held_out, bootstrap=100)["model"]
    by_name = {part.name: part for part in result.slices}
    assert by_name["head items"].metrics["Recall@10"].mean == 1
    assert by_name["tail items"].metrics["Recall@10"].mean == 0
    families = {part.family for part in result.slices}
    assert families == {"popularity of the target", "length of the history"}
    for family in families:
        assert sum(part.questions for part in result.slices if part.family == family) == 200


def test_several_targets_per_question() -> None:
    held_out = questions(targets=2)  # q and its neighbor; the first of them is put in place 1
    found = evaluate({"model": Skilled(held_out, at(0))}, held_out, ks=(1,), bootstrap=100)["model"]
    assert found["Recall@1"].mean == 1 / 2
    assert found["NDCG@1"].mean == 1


def test_the_cut_off_of_slices_is_the_largest_where_ten_is_not_asked_for() -> None:
    held_out = questions()
    report = evaluate({"model": Skilled(held_out, at(0))}, held_out, ks=(3, 1), bootstrap=100)
    assert report.conditions.ks == (1, 3)
    assert report.conditions.k == 3
    assert set(report["model"].slices[0].metrics) == {"NDCG@3", "Recall@3"}
    assert report["model"].lists[0].shape == (200, 4)


def test_the_same_seed_gives_the_same_report() -> None:
    held_out = questions()
    place_Q = np.arange(200) % 15

    def figures() -> tuple[object, ...]:
        models = {"a": Skilled(held_out, place_Q), "b": Skilled(held_out, at(3))}
        report = evaluate(models, held_out, baseline="b", bootstrap=100, seed=7)
        return report["a"].metrics, report.comparisons, report["a"].lists_fingerprint

    assert figures() == figures()


def test_costs_are_reported_where_known() -> None:
    held_out = questions()
    models = {"a": Skilled(held_out, at(0)), "b": Skilled(held_out, at(1))}
    cost = Cost(fit_seconds=12.5, parameters=1000, epochs=3)
    report = evaluate(models, held_out, costs={"a": cost}, bootstrap=100)
    assert report["a"].cost == cost
    assert report["b"].cost == Cost()


def test_categories_are_named_or_their_absence_explained() -> None:
    held_out = questions()
    model = Skilled(held_out, at(0))

    def words(catalog: pl.DataFrame | None) -> str:
        return evaluate(
            {"m": model}, held_out, catalog=catalog, bootstrap=100
        ).conditions.categories

    ids = list(range(ITEMS))
    with_genres = pl.DataFrame({"item_id": ids, "genres": [["a"], ["b"], []] * 10})
    assert words(with_genres) == "column 'genres': 2 values, known of 67% of the items"
    assert "no column of the catalog" in words(pl.DataFrame({"item_id": ids}))
    assert "no catalog was given" in words(None)


def test_mistakes_are_answered_with_a_sentence() -> None:
    held_out = questions()
    model = Skilled(held_out, at(0))
    with pytest.raises(UnknownName, match=r"no recommender 'sasrek'\. Did you mean 'sasrec'"):
        evaluate({"sasrec": model}, held_out, baseline="sasrek")
    with pytest.raises(UnknownName, match="no recommender 'orakel'"):
        evaluate({"sasrec": model}, held_out, oracle="orakel")
    with pytest.raises(UnknownName, match="no recommender 'other'"):
        evaluate({"sasrec": model}, held_out, costs={"other": Cost()})
    with pytest.raises(ConfigError, match="both the baseline and the oracle"):
        evaluate({"sasrec": model}, held_out, oracle="sasrec", baseline="sasrec")
    with pytest.raises(ConfigError, match="no recommenders to evaluate"):
        evaluate({}, held_out)
    with pytest.raises(ConfigError, match="'a' is not a recommender"):
        evaluate({"a": [model, "text"]}, held_out)  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="'a' is not a recommender"):
        evaluate({"a": []}, held_out)
    with pytest.raises(ConfigError, match=r"ks is \(0, 5\)"):
        evaluate({"a": model}, held_out, ks=(0, 5))
    with pytest.raises(ConfigError, match="bootstrap is 10"):
        evaluate({"a": model}, held_out, bootstrap=10)
    with pytest.raises(DataError, match="the catalog has 1 rows, but the questions are about 30"):
        evaluate({"a": model}, held_out, catalog=pl.DataFrame({"item_id": [1]}))
    with pytest.raises(UnknownName, match="measured metric 'Recall@20'"):
        evaluate({"a": model}, held_out, bootstrap=100)["a"]["R@20"]
