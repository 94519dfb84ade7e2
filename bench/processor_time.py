"""Processor time that calls cost: of the server's processes, and of PostgreSQL's processes that work for it."""

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds, or with `a_call` milliseconds, in user and system mode together."""

    server: float
    database: float

    @property
    def both(self) -> float:
        return self.server + self.database

    def a_call(self, before: "ProcessorTime", calls: int) -> "ProcessorTime":
        """Compute the milliseconds of a call, for so many calls since `before`."""
        return ProcessorTime(
            (self.server - before.server) / calls * 1_000, (self.database - before.database) / calls * 1_000
        )

    def __str__(self) -> str:
        return f"{self.server:.2f} + {self.database:.2f} ms"


def processor_time(server_pid: int, database_url: str) -> ProcessorTime:
    """Read what a server and its child processes have used, and the processes of the connections to its database."""
    return ProcessorTime(
        sum(map(of_process, [server_pid, *children_of(server_pid)])), sum(map(of_process, _backends(database_url)))
    )


def children_of(pid: int) -> list[int]:
    """List the child processes of a server: those that answer requests."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def of_process(pid: int) -> float:
    """Read the seconds that a process has used, without its child processes; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _backends(database_url: str) -> list[int]:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return [int(pid) for (pid,) in cursor]
