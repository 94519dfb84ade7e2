"""The machine on which the figures were measured."""

import os
import platform
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg2

from bench.options import CONNECTIONS, WEB_PROCESSES, Bench


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def additions_seconds() -> float:
    """Measure how fast this machine runs Python: the seconds of ten million additions."""
    begun, total = time.process_time(), 0
    while total < 10_000_000:
        total += 1
    return time.process_time() - begun


def machine(bench: Bench) -> str:
    """Describe the machine, the time and the settings of the measurement, and the load average before it."""
    with closing(psycopg2.connect(f"{bench.postgres_url}/postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), current_setting('fsync')")
        version, fsync = cursor.fetchone() or ("", "")
    load = os.getloadavg()[0]
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {os.cpu_count()} cores ({_processor()}), which load,"
        f" server and database share; load average {load:.1f} before. PostgreSQL {version}, fsync {fsync};"
        f" Python {platform.python_version()}, ten million additions in {additions_seconds():.2f} s;"
        f" {WEB_PROCESSES} server processes, {CONNECTIONS} connections;"
        f" {bench.rounds} rounds of {bench.seconds} s"
        + (f"; sizes times {bench.scale:g}." if bench.scale != 1 else ".")
    )
