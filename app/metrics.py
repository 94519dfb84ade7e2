"""What is counted for Prometheus; with PROMETHEUS_MULTIPROC_DIR set, over all processes of the server."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from app.services.queries import Queries

DECISIONS = Counter("interlock_decisions_total", "Answers to requests for an action", ["action", "outcome"])
CHANGES = Counter("interlock_changes_total", "Changes of batches, by trigger", ["trigger"])
REPORTS = Counter("interlock_reports_total", "Reports of workers", ["outcome"])
LEASES = Counter("interlock_leases_total", "Tasks leased")
REQUESTS = Histogram("interlock_http_request_seconds", "Time to answer", ["method", "endpoint", "status"])


class _Batches(Collector):
    """The batches in each state, counted when asked."""

    def __init__(self, queries: "Queries") -> None:
        self._queries = queries

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily("interlock_batches", "Batches in each state", labels=["state"])
        for state, amount in self._queries.batches_by_state().items():
            gauge.add_metric([state], amount)
        yield gauge


def exposition(queries: "Queries") -> tuple[bytes, str]:
    """Give all metrics in Prometheus' text format, and its content type."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    own = generate_latest(registry if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else REGISTRY)
    counted = CollectorRegistry()
    counted.register(_Batches(queries))
    return own + generate_latest(counted), CONTENT_TYPE_LATEST
