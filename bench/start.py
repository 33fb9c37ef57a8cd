"""Seconds until `import itemlm` and `itemlm --help` are done, each in a fresh process.

python bench/start.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 7


def seconds(*command: str) -> float:
    """Median wall time of a command, after one run that warms the disk's cache."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


if __name__ == "__main__":
    program = str(Path(sys.executable).with_name("itemlm"))
    print(f"python -c pass         {seconds(sys.executable, '-c', 'pass'):.3f} s")
    print(f"import itemlm          {seconds(sys.executable, '-c', 'import itemlm'):.3f} s")
    print(f"itemlm --help          {seconds(program, '--help'):.3f} s")
