"""The options of a worker, with their defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How many tasks a worker takes, how it leases and reports, and how long it may take to stop."""

    concurrency: int = 8  # tasks that run at the same time
    prefetch: int = 4  # waiting tasks held for each running one
    lease_seconds: int | None = None  # None: the lease length of each batch
    wait_seconds: float = 2.0  # how long the service may hold a lease request open
    batch_id: int | None = None  # None: tasks of every batch
    report_max: int = 250
    report_ms: int = 100
    grace_seconds: float = 8.0
