"""The metrics for Prometheus. With PROMETHEUS_MULTIPROC_DIR set, they cover all processes of the server."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

DECISIONS = Counter("interlock_decisions_total", "Answers to requests for an action", ["action", "outcome"])
CHANGES = Counter("interlock_changes_total", "Changes of batches, by trigger", ["trigger"])
LIMIT_PAUSES = Counter("interlock_limit_pauses_total", "Runs that were paused at a limit", ["limit"])
REPORTS = Counter("interlock_reports_total", "Reports of workers", ["outcome"])
FAILURES = Counter("interlock_failed_reports_total", "Reports of failed attempts that counted", ["code"])
LEASES = Counter("interlock_leases_total", "Tasks leased")
LEASE_EXPIRATIONS = Counter("interlock_lease_expirations_total", "Leases that ran out without a report")
DELIVERIES = Counter("interlock_deliveries_total", "Tries to deliver a message to a webhook", ["outcome"])
REQUESTS = Histogram("interlock_http_request_seconds", "Time to answer", ["method", "endpoint", "status"])
LEADER = Gauge("interlock_leader", "Processes of this server that lead", multiprocess_mode="livesum")

MOST_CODES = 100  # of failures: they are words of workers; further ones are counted as `other`
_codes: set[str] = set()


@dataclass(frozen=True)
class Sample:
    """A value, and those of its labels in their order."""

    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class Family:
    """What is read at each scrape; the name of a counter is without `_total`."""

    name: str
    help: str
    labels: tuple[str, ...]
    samples: Sequence[Sample]
    is_counter: bool = False


class _Read(Collector):
    def __init__(self, read: Callable[[], Sequence[Family]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        for family in self._read():
            kind = CounterMetricFamily if family.is_counter else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for sample in family.samples:
                metric.add_metric(sample.labels, sample.value)
            yield metric


def count_failure(code: str) -> None:
    """Count a failed report by its code; a code that is new after MOST_CODES others as `other`."""
    if code not in _codes and len(_codes) < MOST_CODES:
        _codes.add(code)
    FAILURES.labels(code if code in _codes else "other").inc()


def exposition(read: Callable[[], Sequence[Family]]) -> tuple[bytes, str]:
    """Return all metrics in Prometheus' text format, and its content type; `read` gives those that are no counts."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    own = generate_latest(registry if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else REGISTRY)
    read_now = CollectorRegistry()
    read_now.register(_Read(read))
    return own + generate_latest(read_now), CONTENT_TYPE_LATEST
