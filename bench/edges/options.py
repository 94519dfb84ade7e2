"""The options of these tests, which each of them receives."""

from dataclasses import dataclass

from bench.progress import Progress


@dataclass(frozen=True)
class Edges:
    """How long and how often each is tried."""

    progress: Progress
    page_seconds: int = 20  # for each page of a proxy
    rounds: int = 100  # of kills and full disks, in turns
    slow_seconds: int = 60
    outage_seconds: int = 60  # of a model server
