"""The command line's help, or an empty Python program, in fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import common

program = [str(Path(sys.executable).with_name("itemlm")), "--help"]
command = [sys.executable, "-c", "pass"] if common.settings().get("only_python") else program
times = common.seconds(
    lambda: subprocess.run(command, check=True, capture_output=True), repeats=3, warm_up=1
)
common.report(values={"seconds": statistics.median(times)}, versions=("itemlm",))
