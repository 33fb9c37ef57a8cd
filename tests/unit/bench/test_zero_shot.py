"""The zero-shot study: nearest texts and hits by hand, and the page."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "bench" / "studies"))
import zero_shot as study

from itemlm.data.held_out import HeldOut
from itemlm.types import QueryBatch

VECTORS = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]])


def questions(histories, targets):
    offsets = np.cumsum([0, *map(len, histories)])
    rows = np.array([row for history in histories for row in history])
    return HeldOut(
        queries=QueryBatch(offsets=offsets, item_rows=rows, user_rows=np.arange(len(histories))),
        target_offsets=np.arange(len(targets) + 1),
        target_rows=np.array(targets),
        train_counts_N=np.ones(4, dtype=np.int64),
        protocol="by hand",
        tied_Q=None,
        part="test",
    )


def test_nearest_texts_by_hand():
    # Items 0 then 1, with half the weight one event back: .5 (1, 0) + (0, 1) = (.5, 1).
    batch = questions([[0, 1]], [2]).queries
    rows, scores = study.NearestTexts(VECTORS, decay=0.5).topk(batch, 2)
    assert rows.tolist() == [[2, 3]]  # the history is left out
    assert scores[0] == pytest.approx([0.5 * 0.6 + 0.8, 0.5 * 0.8 + 0.6])


def test_hits_with_and_without_the_history():
    asked = questions([[0], [1]], [3, 0])
    nearest = study.NearestTexts(VECTORS, decay=1.0)
    # After item 0: 3, 2, 1. After item 1: 2, 3, 0. With the history, it comes first itself.
    masked = study.asked(nearest, asked, masked=True)
    assert (masked["Hit@1"]["mean"], masked["Hit@5"]["mean"]) == (0.5, 1.0)
    assert study.asked(nearest, asked, masked=False)["Hit@1"]["mean"] == 0.0
    assert study.asked(nearest, asked, masked=False)["first place repeats"] == 1.0
    assert masked["first place repeats"] == 0.0


def test_the_table_stands_between_its_marks():
    text = f"before\n{study.BEGIN}\nold\n{study.END}\nafter\n"
    assert study.page(text, []) == f"before\n{study.BEGIN}\nNot measured yet.\n{study.END}\nafter\n"
