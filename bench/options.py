"""What the caller of the benchmark may choose, and what every row is given."""

from dataclasses import dataclass

from bench.progress import Progress

CONNECTIONS = 8
LOAD_THREADS = 2  # of wrk and of pgbench alike
CLIENTS = 4  # processes that lease and report
WEB_PROCESSES = 2


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark: a private PostgreSQL, how often and how long to measure, and where to say so."""

    postgres_url: str
    progress: Progress
    rounds: int = 5
    seconds: int = 5
    scale: float = 1.0
    tasks: int = 1_000_000  # of the large batch whose pages are measured

    def size(self, amount: int, least: int = 1) -> int:
        """Scale an amount of batches or tasks, for a quick look."""
        return max(least, round(amount * self.scale))
