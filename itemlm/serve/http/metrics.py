"""Metrics: what the service counts and measures, for Prometheus and for its own page.

Each application has a registry of its own, so that two in one process do not mix. Labels take
values from short lists only (routes as declared, known methods, models of the operator): a label
that a caller can choose would make the registry grow without bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.responses import Response

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 5.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REMEMBERED = 2000  # requests of which the page shows percentiles
API = "/v1/"  # the routes whose time is worth watching; health checks would only dilute it


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds of the last requests; None before the first."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    requests: int


class Metrics:
    """Counters, gauges and histograms; the service core increments its own.

    Attributes:
        requests, seconds: kept by the HTTP layer, as is the number of requests in flight.
        rejected: requests turned away to protect the service, by error code.
        recommendations: answers by source and model.
        fallbacks: answers that did not come from the model, by reason.
        queue_length, batch_size: of the queue in front of the model.
        events_accepted, events_duplicate: events; `event_arrived` keeps the time of the last.
        items: in the catalog, by state: live, or arrived (after the model was trained).
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._in_flight = 0
        self._last_event: float | None = None
        self._recent_ms = np.zeros(REMEMBERED, dtype=np.float32)
        self._recent_count = 0
        # Children by label, since `labels()` takes a lock and makes strings each time.
        self._of_route: dict[str, Histogram] = {}
        self._of_answer: dict[tuple[str, str, int], Counter] = {}

        self.requests = self._counter("requests", "Requests.", "route", "method", "status")
        self.rejected = self._counter("rejected", "Requests turned away.", "code")
        self.recommendations = self._counter("recommendations", "Slates.", "source", "model")
        self.fallbacks = self._counter("fallbacks", "Answers not from the model.", "reason")
        self.events_accepted = self._counter("events_accepted", "Events stored.")
        self.events_duplicate = self._counter("events_duplicate", "Events known before.")
        self.queue_length = self._gauge("queue_length", "Questions waiting for the model.")
        self.items = self._gauge("items", "Items in the catalog.", "state")
        self._model = self._gauge("model_info", "1 for the active model.", "name", "paper")
        self._gauge("requests_in_flight", "Requests being answered.").set_function(
            lambda: self._in_flight
        )
        self._gauge("seconds_since_last_event", "NaN before the first.").set_function(
            self._seconds_since_event
        )
        self.seconds = Histogram(
            "itemlm_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "itemlm_batch_size",
            "Questions answered together by the model.",
            buckets=BATCHES,
            registry=self.registry,
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"itemlm_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"itemlm_{name}", meaning, labels, registry=self.registry)

    def _seconds_since_event(self) -> float:
        return float("nan") if self._last_event is None else time.monotonic() - self._last_event

    # --- By the HTTP layer ----------------------------------------------------------------------

    def begin_request(self) -> None:
        """A request has arrived. Called by the event loop alone, so it needs no lock."""
        self._in_flight += 1

    def end_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered.

        Args:
            route: the path as declared, or "unmatched".
            method: of any kind; unknown ones are counted together.
            status: of the answer; 499 if the caller left before it.
            seconds: that it took.
        """
        self._in_flight -= 1
        method = method if method in METHODS else "OTHER"
        answers = self._of_answer.get((route, method, status))
        if answers is None:
            answers = self.requests.labels(route, method, str(status))
            self._of_answer[route, method, status] = answers
        answers.inc()
        times = self._of_route.get(route)
        if times is None:
            times = self._of_route[route] = self.seconds.labels(route)
        times.observe(seconds)
        if route.startswith(API):
            self._recent_ms[self._recent_count % REMEMBERED] = seconds * 1000
            self._recent_count += 1

    # --- By the service core --------------------------------------------------------------------

    def event_arrived(self) -> None:
        """An event was stored just now."""
        self._last_event = time.monotonic()

    def model_is(self, name: str, paper: str) -> None:
        """From now on another model is the active one."""
        self._model.clear()
        self._model.labels(name, paper).set(1)

    # --- For readers ----------------------------------------------------------------------------

    def recent(self) -> Latencies:
        """Percentiles over the last `REMEMBERED` requests to `/v1/`."""
        kept = min(self._recent_count, REMEMBERED)
        if not kept:
            return Latencies(None, None, None, 0)
        p50, p95, p99 = np.percentile(self._recent_ms[:kept], (50, 95, 99)).tolist()
        return Latencies(p50, p95, p99, kept)

    def total(self, counter: Counter, **labels: str) -> int:
        """Sum of a counter over all its labels, or over those that begin with what is given.

        `total(metrics.requests, status="5")` is the number of answers that were our fault.
        """
        return int(
            sum(
                sample.value
                for metric in counter.collect()
                for sample in metric.samples
                if sample.name.endswith("_total")
                and all(sample.labels[name].startswith(start) for name, start in labels.items())
            )
        )

    def scrape(self) -> Response:
        """The answer to GET /metrics. Takes milliseconds: declare the route with plain `def`."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)
