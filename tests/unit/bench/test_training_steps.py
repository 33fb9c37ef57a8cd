"""What the training contenders share: which steps are timed, and whose lists are scored."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "bench" / "contenders"))
import steps

# User 0 read 1 and 2, user 1 read 3.
OFFSETS, ITEM_ROWS = np.array([0, 2, 3]), np.array([1, 2, 3])


def test_the_warm_up_is_not_timed(monkeypatch):
    now = iter(float(second) for second in range(100))
    monkeypatch.setattr(steps.time, "perf_counter", lambda: next(now))
    clock = steps.Clock({"warm_up": 2, "steps": 3, "epochs": 0})
    for targets in (1000, 1000, 10, 20, 30):
        assert not clock.is_done
        clock.step(targets)
    assert clock.is_done
    values = clock.values()
    assert values["targets a step"] == pytest.approx((10 + 20 + 30) / 3)
    # The clock is read twice where timing begins, at seconds 2 and 3, then once a step: 4, 5, 6.
    assert values["training seconds"] == pytest.approx(6 - 2)
    assert values["targets/s"] == pytest.approx(60 / 4)


def test_whole_epochs_are_never_cut_short():
    clock = steps.Clock({"warm_up": 1, "steps": 1, "epochs": 2})
    for _ in range(5):
        clock.step(7)
    assert not clock.is_done
    assert clock.values()["targets a step"] == 7


def test_lists_leave_out_what_was_read():
    scores_UN = np.tile(np.arange(12.0), (2, 1))
    lists = steps.top10(lambda start, stop: scores_UN[start:stop], OFFSETS, ITEM_ROWS)
    assert lists[0].tolist() == [11, 10, 9, 8, 7, 6, 5, 4, 3, 0]
    assert lists[1].tolist() == [11, 10, 9, 8, 7, 6, 5, 4, 2, 1]


def test_windows_are_padded_on_the_left():
    assert steps.padded(OFFSETS, ITEM_ROWS, 3, 99).tolist() == [[99, 1, 2], [99, 99, 3]]
    assert steps.padded(OFFSETS, ITEM_ROWS, 1, 99).tolist() == [[2], [3]]
