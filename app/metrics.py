"""The metrics for Prometheus. With PROMETHEUS_MULTIPROC_DIR set, they cover all processes of the server."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

DECISIONS = Counter("interlock_decisions_total", "Answers to requests for an action", ["action", "outcome"])
CHANGES = Counter("interlock_changes_total", "Changes of batches, by trigger", ["trigger"])
REPORTS = Counter("interlock_reports_total", "Reports of workers", ["outcome"])
LEASES = Counter("interlock_leases_total", "Tasks leased")
REQUESTS = Histogram("interlock_http_request_seconds", "Time to answer", ["method", "endpoint", "status"])


@dataclass(frozen=True)
class Counts:
    """What is counted in the database at each scrape."""

    batches: Callable[[], Mapping[str, int]]  # in each state
    connections: Callable[[], Iterable[tuple[str, str, str]]]  # each with a model (empty: all models) and its state
    unserved_targets: Callable[[], int]  # that no present worker can do, though tasks wait


class _Counted(Collector):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        batches = GaugeMetricFamily("interlock_batches", "Batches in each state", labels=["state"])
        for state, amount in self._counts.batches().items():
            batches.add_metric([state], amount)
        yield batches
        states = GaugeMetricFamily(
            "interlock_connection_state", "1 for the state of each connection", labels=["connection", "model", "state"]
        )
        for labels in self._counts.connections():
            states.add_metric(labels, 1)
        yield states
        yield GaugeMetricFamily(
            "interlock_unserved_targets",
            "Models of batches at work that no present worker can call",
            value=self._counts.unserved_targets(),
        )


def exposition(counts: Counts) -> tuple[bytes, str]:
    """Return all metrics in Prometheus' text format, and its content type."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    own = generate_latest(registry if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else REGISTRY)
    counted = CollectorRegistry()
    counted.register(_Counted(counts))
    return own + generate_latest(counted), CONTENT_TYPE_LATEST
