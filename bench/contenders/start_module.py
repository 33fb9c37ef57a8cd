"""Importing one module in fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys

import common

module = common.settings()["module"]
package = {"replay": "replay-rec"}.get(module.split(".")[0], module.split(".")[0])
command = [sys.executable, "-c", f"import {module}"]
times = common.seconds(
    lambda: subprocess.run(command, check=True, capture_output=True), repeats=3, warm_up=1
)
common.report(values={"seconds": statistics.median(times)}, versions=(package,))
