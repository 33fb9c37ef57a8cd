"""Races: who is compared with whom, what a ratio means, what becomes of a contender that fails."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parents[3] / "bench"
sys.path[:0] = [str(BENCH), str(BENCH / "contenders")]
import common
from harness import peers, race
from harness.race import Contender, Race


def outcome(value):
    return {"values": {"seconds": value}, "quality": {}, "peak_mb": 10, "other_cores": 0.0}


def measured(*rounds, higher_is_better=False):
    """A race of us and a peer; each round is (our value, the peer's value)."""
    return {
        "measure": "seconds",
        "higher_is_better": higher_is_better,
        "contenders": [{"name": "itemlm", "ours": True}, {"name": "peer", "ours": False}],
        "rounds": [{"itemlm": ours, "peer": theirs} for ours, theirs in rounds],
    }


def test_ratios_are_taken_round_by_round():
    # A slow second round hits both sides: the ratios stay near 3 although the times double.
    both = measured((outcome(1.0), outcome(3.0)), (outcome(2.0), outcome(6.2)))
    ours, peer = race.rows(both)
    assert peer.ratios == (3.0, 3.1)
    assert ours.ratios == (1.0, 1.0)
    assert (peer.low, peer.median, peer.high) == (3.0, 4.6, 6.2)


def test_a_rate_is_better_when_it_is_higher():
    _, peer = race.rows(measured((outcome(300.0), outcome(100.0)), higher_is_better=True))
    assert peer.ratios == (3.0,)


def test_a_failed_round_is_left_out_and_told():
    failed = {"failed": "MemoryError", "peak_mb": 99, "other_cores": 0.0}
    both = measured((outcome(1.0), failed), (outcome(1.0), outcome(2.0)))
    _, peer = race.rows(both)
    assert peer.ratios == (2.0,)
    assert peer.failed == "MemoryError"
    assert peer.peak_mb == 99


@pytest.fixture
def contenders(tmp_path, monkeypatch):
    """Two contenders' scripts: one counts to a number, one breaks."""
    folder = tmp_path / "contenders"
    folder.mkdir()
    path = f"import sys; sys.path.insert(0, {str(BENCH / 'contenders')!r})\n"
    (folder / "sums_itemlm.py").write_text(
        path + "import common, os\n"
        "total = sum(range(common.settings()['n']))\n"
        "common.report(values={'sum': total, 'threads': int(os.environ['OMP_NUM_THREADS'])})\n"
    )
    (folder / "sums_broken.py").write_text("raise SystemExit('no luck')\n")
    monkeypatch.setattr(peers, "BENCH", tmp_path)


def test_contenders_run_in_turns_with_their_settings(contenders):
    sums = Race(
        name="sums",
        measure="sum",
        settings={"n": 3},
        rounds=2,
        contenders=(
            Contender("itemlm"),
            Contender("itemlm, more", script="itemlm", settings={"n": 5}),
            Contender("broken"),
        ),
    )
    result = sums.run("sums", threads=2, quick=False)
    assert [list(one) for one in result["rounds"]] == [["itemlm", "itemlm, more", "broken"]] * 2
    first = result["rounds"][0]
    assert first["itemlm"]["values"] == {"sum": 3.0, "threads": 2.0}  # 0 + 1 + 2
    assert first["itemlm, more"]["values"]["sum"] == 10.0  # 0 + 1 + 2 + 3 + 4
    assert first["itemlm"]["peak_mb"] > 0
    assert first["broken"]["failed"] == "no luck"


def test_accuracy_of_lists_with_one_target_each():
    lists = np.array([[4, 7], [7, 4], [1, 2], [7, 9]])
    figures = common.accuracy(lists, np.array([4, 4, 9, 9]), k=2)
    # hits at place 1, 2, none, 2: NDCG is 1, 1/log2(3) = .6309, 0, .6309
    assert figures["Recall@2"] == 0.75
    assert figures["NDCG@2"] == pytest.approx((1 + 2 * 0.63093) / 4, abs=1e-5)
    assert figures["Recall@2 +-"] == pytest.approx(1.96 * np.sqrt(0.75 * 0.25 / 4))
