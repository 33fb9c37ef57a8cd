"""What holds for every list and every set of targets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itemlm.evaluation.conventions import recbole, rectools
from itemlm.evaluation.metrics import METRICS, Targets, per_question, places
from itemlm.evaluation.significance import holm

ITEMS = 12
items = st.integers(0, ITEMS - 1)
ranked = st.lists(items, max_size=8, unique=True)
answers = st.lists(items, min_size=1, max_size=6)
questions = st.lists(st.tuples(ranked, answers), min_size=1, max_size=6)


def evaluated(
    pairs: list[tuple[list[int], list[int]]], ks: tuple[int, ...] = (1, 3, 8)
) -> dict[str, np.ndarray]:
    lists = np.array([[*row, *[-1] * (8 - len(row))] for row, _ in pairs])
    targets = Targets.from_lists([row for _, row in pairs])
    return per_question(places(lists, targets), targets, ks)


@given(questions)
def test_every_metric_lies_between_zero_and_one(
    pairs: list[tuple[list[int], list[int]]],
) -> None:
    for values in evaluated(pairs).values():
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()


@given(questions)
def test_longer_lists_find_no_less(pairs: list[tuple[list[int], list[int]]]) -> None:
    found = evaluated(pairs)
    for metric in ("Recall", "HitRate", "MRR", "MAP"):
        for shorter, longer in ((1, 3), (3, 8)):
            assert (found[f"{metric}@{shorter}"] <= found[f"{metric}@{longer}"] + 1e-12).all()


@given(answers)
def test_a_perfect_list_has_ndcg_one(targets: list[int]) -> None:
    first = list(dict.fromkeys(targets))
    rest = [item for item in range(ITEMS) if item not in first]
    found = evaluated([((first + rest)[:8], targets)])
    assert all(abs(found[f"NDCG@{k}"][0] - 1) < 1e-12 for k in (1, 3, 8))


@given(ranked, items)
def test_with_one_target_three_metrics_coincide(row: list[int], target: int) -> None:
    found = evaluated([(row, [target])])
    for k in (1, 3, 8):
        assert found[f"Recall@{k}"] == found[f"HitRate@{k}"]
        assert found[f"MRR@{k}"] == found[f"MAP@{k}"]
        assert abs(found[f"Precision@{k}"] * k - found[f"Recall@{k}"]) < 1e-12


@given(st.lists(items, min_size=2, max_size=8, unique=True), answers, st.data())
def test_moving_a_target_up_never_hurts(
    row: list[int], targets: list[int], data: st.DataObject
) -> None:
    place = data.draw(st.integers(1, len(row) - 1))
    if row[place] not in targets or row[place - 1] in targets:
        return
    better = row.copy()
    better[place - 1], better[place] = row[place], row[place - 1]
    before, after = evaluated([(row, targets)]), evaluated([(better, targets)])
    for name in before:
        assert after[name][0] >= before[name][0] - 1e-12


@given(questions, st.permutations(range(ITEMS)))
def test_renumbering_the_items_changes_nothing(
    pairs: list[tuple[list[int], list[int]]], renumbered: list[int]
) -> None:
    other = [([renumbered[i] for i in row], [renumbered[i] for i in t]) for row, t in pairs]
    before, after = evaluated(pairs), evaluated(other)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def slow(row: list[int], targets: list[int], k: int) -> dict[str, float]:
    """All metrics of one question, one place at a time."""
    relevant, hits, dcg, precisions, first = set(targets), 0, 0.0, 0.0, 0.0
    for place, item in enumerate(row[:k], start=1):
        if item in relevant:
            hits += 1
            dcg += 1 / np.log2(place + 1)
            precisions += hits / place
            first = first or 1 / place
    ideal = sum(1 / np.log2(place + 1) for place in range(1, min(k, len(relevant)) + 1))
    return {
        "Recall": hits / len(relevant),
        "NDCG": dcg / ideal,
        "HitRate": float(hits > 0),
        "MRR": first,
        "Precision": hits / k,
        "MAP": precisions / len(relevant),
    }


@given(questions)
def test_arrays_agree_with_one_place_at_a_time(
    pairs: list[tuple[list[int], list[int]]],
) -> None:
    found = evaluated(pairs)
    for k in (1, 3, 8):
        for question, (row, targets) in enumerate(pairs):
            expected = slow(row, targets, k)
            assert set(expected) == set(METRICS)
            for name, value in expected.items():
                assert abs(found[f"{name}@{k}"][question] - value) < 1e-12


@given(questions)
def test_the_conventions_differ_only_where_they_say(
    pairs: list[tuple[list[int], list[int]]],
) -> None:
    lists = np.array([[*row, *[-1] * (8 - len(row))] for row, _ in pairs])
    targets = Targets.from_lists([row for _, row in pairs])
    ours = {name: values.mean() for name, values in evaluated(pairs, (3,)).items()}
    theirs, others = recbole(lists, targets, (3,)), rectools(lists, targets, (3,))
    for name in ("Recall", "NDCG", "MRR", "Precision"):
        assert abs(theirs[f"{name.lower()}@3"] - ours[f"{name}@3"]) < 1e-12
    assert theirs["map@3"] >= ours["MAP@3"] - 1e-12
    for name in ("Recall", "HitRate", "MRR", "Precision", "MAP"):
        assert abs(others[f"{name}@3"] - ours[f"{name}@3"]) < 1e-12
    assert others["NDCG@3"] <= ours["NDCG@3"] + 1e-12


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_raises_p_values_and_keeps_their_order(p_values: list[float]) -> None:
    p = np.array(p_values)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= 1).all()
    order = np.argsort(p)
    assert (np.diff(corrected[order]) >= 0).all()
