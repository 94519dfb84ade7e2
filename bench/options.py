"""The options of the benchmark, which every row receives, and its constants."""

from dataclasses import dataclass

from bench.progress import Progress

CONNECTIONS = 8
LOAD_THREADS = 2  # of wrk and of pgbench
WORKER_PROCESSES = 4  # worker processes
WEB_PROCESSES = 2


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark: its PostgreSQL, where to print progress, and how often and how long to measure."""

    postgres_url: str
    progress: Progress
    rounds: int = 5
    seconds: int = 5
    scale: float = 1.0
    tasks: int = 1_000_000  # of the large batch whose pages are measured

    def size(self, amount: int, least: int = 1) -> int:
        """Scale an amount of batches or tasks, for a quick look."""
        return max(least, round(amount * self.scale))
