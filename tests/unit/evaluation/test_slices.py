"""Slices: which questions belong to which part."""

from __future__ import annotations

import numpy as np

from itemlm.data.held_out import HeldOut
from itemlm.evaluation.metrics import Targets
from itemlm.evaluation.slices import new_targets, slices_of
from itemlm.types import QueryBatch


def held_out(histories: list[list[int]], targets: list[list[int]], counts: list[int]) -> HeldOut:
    def csr(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        offsets = np.cumsum([0, *map(len, rows)])
        return offsets, np.array([item for row in rows for item in row], dtype=np.int64)

    offsets, item_rows = csr(histories)
    target_offsets, target_rows = csr(targets)
    return HeldOut(
        queries=QueryBatch(
            offsets=offsets, item_rows=item_rows, user_rows=np.arange(len(histories))
        ),
        target_offsets=target_offsets,
        target_rows=target_rows,
        train_counts_N=np.array(counts),
        protocol="by hand",
        tied_Q=None,
        part="test",
    )


def members(questions: HeldOut) -> dict[str, list[int]]:
    targets = Targets.of(questions)
    return {
        part.name: targets.question_P[part.keep_P].tolist()
        for part in slices_of(questions, targets)
    }


def test_head_mid_and_tail_cover_a_third_of_the_events_each() -> None:
    # 30 events. By popularity: item 2 (10 events), 0 (6), 1 (5), 3 (4), 4 (3), 5 (2), 6 (0).
    # Shares before each: 0, 10/30 -> mid, 16/30 -> mid, 21/30 -> tail, ...; item 6 is cold.
    counts = [6, 5, 10, 4, 3, 2, 0]
    questions = held_out([[0]] * 7, [[item] for item in range(7)], counts)
    found = members(questions)
    assert found["head items"] == [2]
    assert found["mid items"] == [0, 1]
    assert found["tail items"] == [3, 4, 5]
    assert found["cold items"] == [6]
    assert found["warm items"] == [0, 1, 2, 3, 4, 5]
    words = {part.name: part.definition for part in slices_of(questions, Targets.of(questions))}
    assert words["mid items"].startswith("the 2 next most popular items (5 to 6 events each)")
    assert words["cold items"] == "the 1 items without an event in training"
    assert words["warm items"] == "the 6 items with an event in training"


def test_histories_are_cut_into_terciles_and_equal_lengths_stay_together() -> None:
    lengths = [1, 1, 1, 1, 2, 3, 4, 9, 9]  # a third of 9 is 3: up to 1, up to 3, longer
    questions = held_out([[0] * length for length in lengths], [[1]] * 9, [9, 9])
    found = members(questions)
    assert found["short histories"] == [0, 1, 2, 3]
    assert found["medium histories"] == [4, 5]
    assert found["long histories"] == [6, 7, 8]


def test_a_part_that_is_empty_is_left_out() -> None:
    found = members(held_out([[0], [0], [0]], [[1], [1], [1]], [5, 5]))
    assert "cold items" not in found
    assert "warm items" not in found
    assert "long histories" not in found
    assert found["short histories"] == [0, 1, 2]


def test_with_several_targets_a_question_is_in_every_slice_of_its_targets() -> None:
    found = members(held_out([[5]], [[0, 1]], [3, 0, 0, 0, 0, 3]))
    assert found["cold items"] == [0]
    assert found["head items"] == [0]


def test_new_targets_are_those_not_in_the_own_history() -> None:
    # Item 2 is new to question 0 although question 1 has it in its history.
    questions = held_out([[0, 1], [2]], [[1, 2], [2]], [1, 1, 1])
    targets = Targets.of(questions)
    assert targets.item_P.tolist() == [1, 2, 2]
    assert new_targets(questions, targets).tolist() == [False, True, False]
