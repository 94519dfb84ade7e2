"""The deployment that a row measures: a new database, and a server on it as an operator starts one.

Each row has its own, so that no row has to sweep, vacuum or read the data of another.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.schema import migrate
from app.services import Services, build
from app.services.upkeep.verify import verify
from bench.api_caller import Caller
from bench.options import WEB_PROCESSES, Bench
from config import Config
from tests.support.databases import postgres_database
from tests.support.process import new_interpreter
from tests.support.server import LiveServer, running_server


class DoesNotAddUp(RuntimeError):
    """The rows in the database do not match the answers."""


@dataclass(frozen=True)
class Deployment:
    """A running server, and direct access to its database."""

    server: LiveServer
    services: Services

    @property
    def database_url(self) -> str:
        return self.services.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def caller(self, role: str = "operator") -> Caller:
        return Caller(self.server.url, self.server.tokens[role])

    def rows(self, sql: str) -> list[Any]:
        """Query the database directly."""
        with self.services.engine.connect() as connection:
            return list(connection.exec_driver_sql(sql).all())

    def number(self, sql: str) -> int:
        """Query the database directly for one number."""
        return int(self.rows(sql)[0][0])

    def audit_rows(self) -> int:
        return self.number("SELECT count(*) FROM audit_log")


@contextmanager
def deployed(
    bench: Bench, database_url: str | None = None, workers: int = WEB_PROCESSES, **settings: Any
) -> Iterator[Deployment]:
    """Run a server on a new database of the private PostgreSQL, or on the given database; `settings` as running_server.

    Raises DoesNotAddUp when `verify` finds a contradiction at the end.
    """
    if database_url is None:
        with postgres_database(bench.postgres_url) as url, deployed(bench, url, workers, **settings) as made:
            yield made
        return
    with running_server(database_url, workers=workers, **{"start": new_interpreter, **settings}) as server:
        services = build(Config(database_url=database_url))
        try:
            yield Deployment(server, services)
            if findings := list(verify(services.engine)):
                raise DoesNotAddUp("\n".join(findings))
        finally:
            services.engine.dispose()


@contextmanager
def deployed_on_sqlite(bench: Bench, **settings: str) -> Iterator[Deployment]:
    """Run a server of one process on a new SQLite file, as `make run` does."""
    with (
        tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder,
        deployed(bench, f"sqlite:///{Path(folder, 'interlock.db')}", workers=1, **settings) as made,
    ):
        yield made


@contextmanager
def scratch_database(bench: Bench) -> Iterator[str]:
    """Make a database with the service's schema and triggers, which no server uses; yield its URL."""
    with postgres_database(bench.postgres_url) as url:
        migrate(url)
        yield url


def counted(count: Callable[[], int], work: Callable[[], int], noun: str) -> int:
    """Call `work` and return the amount that it reports. Raises DoesNotAddUp unless `count` grew by that amount."""
    before = count()
    claimed = work()
    found = count() - before
    if found != claimed:
        raise DoesNotAddUp(f"{claimed} answers, but {found} {noun}")
    return claimed
