"""A process killed with SIGKILL resumes to the same weights; the full figure is in bench/."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("torch")


@pytest.mark.slow
def test_killed_runs_end_the_same():
    bench = Path(__file__).parents[2] / "bench" / "kill_and_resume.py"
    assert runpy.run_path(str(bench))["main"](moments=4, seed=1) == 0
