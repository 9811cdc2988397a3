"""Numbers for Prometheus at ``/metrics``.

``tearline serve`` and ``tearline demo`` set ``PROMETHEUS_MULTIPROC_DIR`` when there are several processes: the
answer then adds up all of them, whichever is asked.
"""

from __future__ import annotations

import os
from functools import cache

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_DURATION_BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

registry = CollectorRegistry()
"""Ours alone, without the figures about the interpreter that the default one holds."""

requests = Counter(
    "tearline_requests", "Requests answered.", ("method", "route", "status"), registry=registry
)
durations = Histogram(
    "tearline_request_duration_seconds",
    "Time from a request's arrival to the end of its answer.",
    ("route",),
    buckets=_DURATION_BUCKETS_SECONDS,
    registry=registry,
)
batch_sizes = Histogram(
    "tearline_desk_batch_size", "Requests that one commit of a desk answered.", ("desk",), buckets=_BATCH_BUCKETS,
    registry=registry,
)  # fmt: skip
polls = Counter("tearline_polls", "Polls of waiting rooms answered.", ("status",), registry=registry)
refusals = Counter("tearline_refusals", "Expected 'no's by reason.", ("reason",), registry=registry)


@cache
def _children(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return requests.labels(method, route, str(status)), durations.labels(route)


def observe(method: str, route: str, status: int, duration_seconds: float) -> None:
    """Count one answered request. ``route`` is one of ours, never what a client sent: each is kept for ever."""
    counter, histogram = _children(method, route, status)
    counter.inc()
    histogram.observe(duration_seconds)


def exposition() -> tuple[bytes, str]:
    """The numbers in Prometheus' text format, and its media type."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together), CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_LATEST
