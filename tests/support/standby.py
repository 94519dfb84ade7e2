"""A private PostgreSQL with a standby that can take its place."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

from tests.support.postgres import PostgresServer, new_place, private_server, running
from tests.support.waiting import wait_until

IN_STEP = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"


@dataclass(frozen=True)
class Pair:
    """A primary, and a standby without which it answers no commit."""

    primary: PostgresServer
    standby: PostgresServer

    def url(self, database: str) -> str:
        """The URL that names both servers."""
        hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://interlock@/{database}?{hosts}"

    def crash(self) -> None:
        """End the primary as a crash does. Nothing takes writes then."""
        self.primary.stop(signal.SIGQUIT)

    def promote(self) -> None:
        """Make the standby the server that takes writes."""
        assert execute(self.standby, "SELECT pg_promote()") == [(True,)]


def execute(server: PostgresServer, *statements: str) -> list[Any]:
    """Execute statements, each by itself; return the rows of the last one."""
    with closing(psycopg2.connect(f"{server.url}/postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def primary_and_standby() -> Iterator[Pair]:
    """Run both; the standby is made by pg_basebackup. Raises NoPostgres."""
    with private_server() as primary, new_place(primary.place.programs, in_memory=True) as place:
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "--checkpoint=fast")
        place.make_data("pg_basebackup", "--write-recovery-conf", "--wal-method=stream", *source)
        with running(place, fsync=False) as standby:
            execute(
                primary,
                "ALTER SYSTEM SET synchronous_standby_names = '*'",  # after the copy, so the standby waits for nobody
                "ALTER ROLE interlock SET synchronous_commit = on",  # a role's wins over that of the command line
                "SELECT pg_reload_conf()",
            )
            wait_until(lambda: execute(primary, IN_STEP) == [(1,)], "a standby in step")
            yield Pair(primary, standby)
