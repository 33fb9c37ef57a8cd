"""Peers live in environments of their own, installed from pinned lists of packages.

    python bench/harness/peers.py            # install those that are missing: `make bench-peers`
    python bench/harness/peers.py rectools   # only this one

They cannot share one: several of them need different versions of NumPy and pandas.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

BENCH = Path(__file__).parent.parent
ENVIRONMENTS = BENCH / ".peers"
OURS = "itemlm"


def names() -> list[str]:
    """Environments that have a list of packages in bench/peers."""
    return sorted(path.stem for path in (BENCH / "peers").glob("*.txt"))


def python_of(environment: str) -> Path:
    """The interpreter of an environment; ours is the one that runs this."""
    if environment == OURS:
        return Path(sys.executable)
    return ENVIRONMENTS / environment / "bin" / "python"


def install(environment: str) -> None:
    """Make an environment, whole or not at all: the marker file is written last."""
    folder = ENVIRONMENTS / environment
    marker = folder / "installed.txt"
    packages = BENCH / "peers" / f"{environment}.txt"
    if marker.exists() and marker.read_text() == packages.read_text():
        print(f"{environment}: there already")
        return
    began = time.monotonic()
    print(f"{environment}: installing ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip = [python_of(environment), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--requirement", packages], check=True)
    marker.write_text(packages.read_text())
    print(f"{environment}: done in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    wanted = sys.argv[1:] or names()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        sys.exit(f"there is no list of packages for {', '.join(unknown)}; see bench/peers")
    for name in wanted:
        install(name)
