"""The metrics for Prometheus. With PROMETHEUS_MULTIPROC_DIR set, they cover all processes of the server."""

import os
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

DECISIONS = Counter("interlock_decisions_total", "Answers to requests for an action", ["action", "outcome"])
CHANGES = Counter("interlock_changes_total", "Changes of batches, by trigger", ["trigger"])
REPORTS = Counter("interlock_reports_total", "Reports of workers", ["outcome"])
LEASES = Counter("interlock_leases_total", "Tasks leased")
REQUESTS = Histogram("interlock_http_request_seconds", "Time to answer", ["method", "endpoint", "status"])


class _Batches(Collector):
    """The batches in each state, counted at each scrape."""

    def __init__(self, count_by_state: Callable[[], Mapping[str, int]]) -> None:
        self._count_by_state = count_by_state

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily("interlock_batches", "Batches in each state", labels=["state"])
        for state, amount in self._count_by_state().items():
            gauge.add_metric([state], amount)
        yield gauge


def exposition(count_by_state: Callable[[], Mapping[str, int]]) -> tuple[bytes, str]:
    """Return all metrics in Prometheus' text format, and its content type. `count_by_state` counts the batches."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    own = generate_latest(registry if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else REGISTRY)
    counted = CollectorRegistry()
    counted.register(_Batches(count_by_state))
    return own + generate_latest(counted), CONTENT_TYPE_LATEST
