"""From folders to a running service: what `itemlm serve` and embedding programs call.

    service = open_service([Path("runs/sasrec")], home=Path("itemlm-service"))
    run(service, port=8000)

A service keeps what it learns in its home folder: the database (unless it is elsewhere), and
vectors of texts. Models are only read.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from itemlm.data.dataset import Dataset
from itemlm.serve.evaluated import read_report, report_beside
from itemlm.serve.histories import History
from itemlm.serve.http.metrics import Metrics
from itemlm.serve.service import Service
from itemlm.serve.settings import ServiceSettings
from itemlm.serve.shelf import Shelf, folder_names
from itemlm.serve.store import open_store
from itemlm.types import ConfigError, ItemlmError, MissingExtra, UnknownName

DATABASE = "service.db"
SPARE_MODELS = 2  # that stay in memory besides the active one and those of the settings
# Seconds after which a thread lets others run: the model's must not keep requests waiting.
SWITCH = 0.0005


def open_service(
    models: Sequence[Path],
    *,
    home: Path,
    dataset: Dataset | None = None,
    settings: ServiceSettings | None = None,
    store: str | None = None,
    more_models: Path | None = None,
    encoder: str = "lsa",
    report: Path | None = None,
) -> Service:
    """A service over saved recommenders, warmed up.

    Args:
        models: their folders; the first is active unless another was activated before.
        home: folder for what the service keeps; made if it does not exist.
        dataset: what people did before, for histories and popularity.
        settings: limits, scenarios, experiments.
        store: URL or path of the database; a file in `home` if None.
        more_models: a folder in which further saved recommenders appear.
        encoder: of item texts, as `encoder_named` takes it.
        report: `report.json` of `itemlm compare`, to show beside the models; the one that lies
            beside their runs if None.

    Raises:
        ArtifactError, ConfigError, MissingExtra: with how to mend it.
    """
    settings = settings or ServiceSettings()
    _use_threads(settings.batching.threads)
    home.mkdir(parents=True, exist_ok=True)
    opened = open_store(store or str(home / DATABASE))
    try:
        shelf = Shelf(
            folder_names(models),
            opened,
            encoder=encoder,
            cache=home / "vectors",
            counts=History(opened, dataset, settings.history_length).counts(),
            more=more_models,
            keep=SPARE_MODELS + len(settings.named_models),
        )
        _check(settings, shelf)
        service = Service(shelf, opened, settings, dataset, Metrics())
        report = report or report_beside(models)
        service.evaluation = None if report is None else read_report(report)
    except BaseException:
        opened.close()
        raise
    active = shelf.active
    service.metrics.model_is(active.name, active.live.paper)
    return service


def _check(settings: ServiceSettings, shelf: Shelf) -> None:
    """Load the models that the settings name, and refuse what could never be answered."""
    for model, where in settings.named_models.items():
        if model not in shelf.names():
            raise ConfigError(
                f"{where} is '{model}', but there is no such model. There are: "
                f"{', '.join(shelf.names())}."
            )
        shelf.release(model)
    release = shelf.active
    for name, scenario in settings.scenarios.items():
        for condition in (scenario.filter, *(boost.when for boost in scenario.boost)):
            try:
                if condition is not None:
                    release.mask(condition)
            except ItemlmError as error:
                raise ConfigError(f"scenario '{name}': {error}") from error
        for column in scenario.max_per:
            if column not in release.catalog.table.columns:
                raise UnknownName("catalog column", column, release.catalog.table.columns)
    for name, experiment in settings.experiments.items():
        if experiment.scenario is not None and experiment.scenario not in settings.scenarios:
            raise ConfigError(
                f"experiment '{name}' is for scenario '{experiment.scenario}', which is not set."
            )


def run(
    service: Service, *, host: str = "127.0.0.1", port: int = 8000, open_to_all: bool = False
) -> None:
    """Serve until told to stop, then finish what was begun.

    Raises:
        ConfigError: if strangers could reach a service without keys, or the port is taken.
        MissingExtra: if the web server is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("the service", "serve") from error
    from itemlm.serve.app import create_app
    from itemlm.serve.http import log
    from itemlm.serve.http.settings import HttpSettings

    check_listening(service, host, port, open_to_all=open_to_all)
    limits = service.settings.limits
    http = HttpSettings(
        host=host,
        open=open_to_all,
        allowed_hosts=tuple(service.settings.hosts),
        cors_origins=tuple(service.settings.cors),
        body_bytes=limits.max_body,
        rate_per_second=limits.requests_per_second,
        rate_burst=limits.burst,
    )
    log.configure()
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()  # what is there now stays: looking through it would hold requests up
    config = uvicorn.Config(
        create_app(service, http),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.drain_seconds),
        h11_max_incomplete_event_size=2**16,
    )

    class Draining(uvicorn.Server):
        """Says at /readyz that it is about to stop while it finishes requests."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            service.draining = True
            super().handle_exit(sig, frame)

    with suppress(KeyboardInterrupt):  # raised once more after everything was finished
        Draining(config).run()


def check_listening(service: Service, host: str, port: int, *, open_to_all: bool) -> None:
    """Refuse an address where the service may not or cannot listen.

    Raises:
        ConfigError: if strangers could reach a service without keys, or the port is taken.
    """
    from itemlm.serve.http.keys import check_exposure

    check_exposure(host, not service.store.keys(), open_to_all)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        raise ConfigError(
            f"the service cannot listen at {host}, port {port}: {reason}. Choose another address "
            "or port."
        ) from error


def _use_threads(count: int) -> None:
    """Let the model's arithmetic use so many threads; 0 leaves one core to the requests."""
    if not count and "OMP_NUM_THREADS" in os.environ:
        return  # whoever started this has decided
    count = count or max(1, _cores() - 1)
    os.environ["OMP_NUM_THREADS"] = str(count)  # PyTorch reads it when a model brings it in
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
