"""Services to measure: made-up models over 100,000 items, in a process on cores of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

CACHE = Path(os.environ.get("ITEMLM_BENCH", Path.home() / ".cache" / "itemlm-bench")) / "serving"
WORDS = [
    *("red", "blue", "green", "dark", "light", "soft", "hard", "small", "large", "classic"),
    *("modern", "wool", "cotton", "steel", "oak", "glass", "chair", "table", "lamp", "shirt"),
    *("coat", "shoe", "bag", "watch", "book", "film", "game", "phone", "cable", "mug", "plate"),
    "knife",
]
BRANDS = 200


def catalog(items: int) -> pl.DataFrame:
    """Items of made-up words, brands and prices."""
    rng = np.random.default_rng(0)
    words = np.array(WORDS)[rng.integers(len(WORDS), size=(items, 4))]
    return pl.DataFrame(
        {
            "item_id": [f"item-{place}" for place in range(items)],
            "title": [" ".join(row) + f" {place}" for place, row in enumerate(words)],
            "brand": [f"brand-{brand}" for brand in rng.integers(BRANDS, size=items)],
            "price": rng.uniform(1, 100, items).round(2),
        }
    )


def made_up(paper: str, items: int = 100_000, seed: int = 0) -> Path:
    """The folder of an untrained model with the default sizes; speed does not depend on weights."""
    folder = CACHE / f"{paper}-{items}-{seed}"
    if (folder / "manifest.json").exists():
        return folder
    import torch

    from itemlm.recommender import Catalog

    torch.manual_seed(seed)
    known = Catalog(catalog(items))
    if paper == "sasrec":
        from itemlm.papers.sequential.sasrec import Config as SASRecConfig
        from itemlm.papers.sequential.sasrec import SASRec
        from itemlm.retrieve.dot import DotProduct

        config = SASRecConfig()
        model = SASRec(config, items)
        recommender = DotProduct("sasrec", model, known, config, config.length)
        recommender.save(folder)
    else:
        from itemlm.papers.generative import tiger
        from itemlm.papers.stages import Codes
        from itemlm.tokenize.tokens import unique

        settings = tiger.Config(beams=20)
        rng = np.random.default_rng(seed)
        codes_NS = rng.integers(settings.codes, size=(items, settings.levels))
        codes = Codes.of(unique(codes_NS, (settings.codes,) * settings.levels, seed))
        tiger._recommender("tiger", settings, tiger._model(settings, codes), known).save(folder)
    return folder


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """A running `itemlm serve`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, home: Path) -> None:
        self.process, self.port, self.home = process, port, home

    @property
    def megabytes(self) -> float:
        """Memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def get(self, path: str) -> dict[str, Any]:
        """An answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return dict(json.load(answer))

    def post(self, path: str, body: object) -> dict[str, Any]:
        """An answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))

    def kill(self) -> None:
        """Without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Gracefully, or not after a minute."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def start(
    models: Sequence[Path],
    home: Path,
    *,
    cores: Sequence[int] | None = None,
    options: Sequence[str] = (),
    settings: str = "",
    fresh: bool = True,
    program: Sequence[str] = ("-m", "itemlm"),
) -> Server:
    """A service that is ready.

    Args:
        models: saved recommenders.
        home: its folder; emptied of its database first if `fresh`.
        cores: that it may use; all if None.
        options: of `itemlm serve`.
        settings: TOML.
        fresh: without what it kept before.
        program: what Python runs, if not itemlm.

    Raises:
        RuntimeError: if it ends, or is not ready after two minutes.
    """
    home.mkdir(parents=True, exist_ok=True)
    if fresh:
        for file in [*home.glob("service.db*"), home / "log"]:
            file.unlink(missing_ok=True)
    (home / "service.toml").write_text(settings)
    port = free_port()
    command = [sys.executable, *program, "serve", *map(str, models)]
    command += ["--home", str(home), "--port", str(port), "--settings", str(home / "service.toml")]
    pinned = (
        ["taskset", "-c", ",".join(map(str, cores))] if cores and shutil.which("taskset") else []
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            [*pinned, *command, *options], stdout=log, stderr=log, env=environment
        )
    server = Server(process, port, home)
    try:
        _wait(server)
    except BaseException:
        server.kill()
        raise
    return server


def _wait(server: Server, seconds: float = 120) -> None:
    """Until it is ready."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise RuntimeError(f"the service ended: {(server.home / 'log').read_text()[-2000:]}")
        try:
            server.get("/readyz")
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the service did not start")


@contextmanager
def running(*arguments: object, **options: object) -> Iterator[Server]:
    """`start`, and stopped at the end."""
    server = start(*arguments, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
