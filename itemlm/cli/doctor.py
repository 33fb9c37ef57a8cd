"""`itemlm doctor`: what a helper, or a bug report, needs to know about this machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from itemlm.cli.console import facts, show, show_json, warn
from itemlm.cli.options import JsonOption

LIBRARIES = ("numpy", "polars", "safetensors", "torch")
GIB = 2**30


def doctor(json: JsonOption = False) -> None:
    """Tell versions, hardware, data folders, and what is not installed.

    For example:

    ```
    itemlm doctor
    ```
    """
    found = examine()
    if json:
        show_json(found)
        return
    missing: dict[str, str] = found.pop("missing extras")
    show(facts((name, _words(value)) for name, value in found.items()))
    for extra, install in missing.items():
        warn(f"the optional part '{extra}' is not installed. To install it: {install}")


def examine() -> dict[str, Any]:
    """Everything, in types that JSON knows; None where the system does not say."""
    import itemlm
    from itemlm.data import sources
    from itemlm.data.folder import cache_folder

    root = os.environ.get("ITEMLM_DATA")
    cache = cache_folder()
    return {
        "itemlm": itemlm.__version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        **{library: _version(library) for library in LIBRARIES},
        "processor": _processor(),
        "cores": _cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", "not limited (OMP_NUM_THREADS is not set)"),
        "BLAS": _blas(),
        **_torch(),
        "memory GiB": _memory(),
        "free disk GiB": round(shutil.disk_usage(Path.cwd()).free / GIB, 1),
        "ITEMLM_DATA": root,
        "download cache": str(cache),
        "datasets there": [
            name
            for name in sources.names()
            if (cache / name).is_dir() or (root is not None and (Path(root) / name).is_dir())
        ],
        "missing extras": _missing_extras(),
    }


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "–" if value is None else str(value)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = re.search(r"model name\s*: (.+)", info.read_text(encoding="utf-8"))
        if named:
            return named[1]
    return platform.processor() or platform.machine()


def _cores() -> int | None:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _blas() -> str:
    import numpy as np

    used = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{used['name']} {used['version']}"


def _memory() -> float | None:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return round(total / GIB, 1)


def _torch() -> dict[str, str | int]:
    """Where models are trained, and how."""
    try:
        import torch

        from itemlm.train.run import Run
    except (ImportError, OSError) as error:  # not installed, or broken
        return {"device": f"none: {error}"}
    run = Run()
    name = f" ({torch.cuda.get_device_name(run.device)})" if run.device.type == "cuda" else ""
    return {
        "device": f"{run.device}{name}",
        "training numbers": "bfloat16" if run.low_precision else "float32",
        "PyTorch threads": torch.get_num_threads(),
    }


def _missing_extras() -> dict[str, str]:
    """The optional parts of which a library is missing, with the line that installs them."""
    missing = {}
    for requirement in requires("itemlm") or []:
        found = re.match(r"([\w.-]+).*extra == [\"']([\w-]+)[\"']", requirement)
        if found and found[2] not in ("dev", "docs") and _version(found[1]) is None:
            missing[found[2]] = f"pip install 'itemlm[{found[2]}]'"
    return missing
