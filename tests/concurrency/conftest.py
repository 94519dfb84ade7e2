"""Fixtures of the races. Every test ends in the invariants, once all of its processes have ended."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from app.services import Services, build
from app.services.upkeep.verify import verify
from config import Config
from tests.concurrency.over_http import Caller
from tests.support import databases
from tests.support.server import LiveServer, running_server

HoldRow = Callable[[int], AbstractContextManager[None]]
Call = Callable[..., Caller]


@dataclass(frozen=True)
class Shared:
    """A server that tests use one after the other, and its database."""

    server: LiveServer
    database_url: str


@pytest.fixture(scope="session")
def database_of(
    postgres_server: str, postgres_template: str, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], AbstractContextManager[str]]:
    """Make a fresh database of a kind for as long as a block lasts: for servers that outlive a test."""

    @contextmanager
    def made(kind: str) -> Iterator[str]:
        if kind == "sqlite":
            yield databases.sqlite_database(sqlite_template, tmp_path_factory.mktemp("shared"))
        else:
            with databases.postgres_database(postgres_server, postgres_template) as url:
                yield url

    return made


@pytest.fixture(scope="session")
def shared_servers(database_of: Callable[[str], AbstractContextManager[str]]) -> Iterator[Callable[[str], Shared]]:
    """Start a server on each kind of database, when it is first asked for: starting one costs seconds."""
    started: dict[str, Shared] = {}
    with ExitStack() as running:

        def start(kind: str) -> Shared:
            if kind not in started:
                url = running.enter_context(database_of(kind))
                started[kind] = Shared(running.enter_context(running_server(url, workers=2)), url)
            return started[kind]

        yield start


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, shared_servers: Callable[[str], Shared]) -> Shared:
    return shared_servers(request.param)


@pytest.fixture
def shared_postgres(shared_servers: Callable[[str], Shared]) -> Shared:
    return shared_servers("postgresql")


@pytest.fixture
def url_of_test(request: pytest.FixtureRequest) -> str:
    """The database that a test uses: a shared server's, or its own."""
    for name in ("shared", "shared_postgres", "mortal"):
        if name in request.fixturenames:
            return str(request.getfixturevalue(name).database_url)
    return str(request.getfixturevalue("database_url"))


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(url_of_test: str) -> Iterator[None]:
    yield
    services = build(Config(database_url=url_of_test))
    try:
        assert list(verify(services.engine)) == []
    finally:
        services.engine.dispose()


@pytest.fixture
def call() -> Iterator[Call]:
    """Make clients of a server, `call(server, "worker")`; each is for one thread, and all end with the test."""
    with ExitStack() as opened:

        def make(server: LiveServer, role: str = "admin") -> Caller:
            return opened.enter_context(closing(Caller(server.url, server.tokens[role])))

        yield make


@pytest.fixture
def another() -> Iterator[Callable[[str], Services]]:
    """Make the services of another process on the same database, though they live in this one."""
    with ExitStack() as opened:

        def make(database_url: str) -> Services:
            services = build(Config(database_url=database_url))
            opened.callback(services.engine.dispose)
            return services

        yield make


@pytest.fixture
def hold_row(url_of_test: str) -> HoldRow:
    """Lock a batch's row from a connection of another program, as somebody at psql would."""

    @contextmanager
    def held(batch_id: int) -> Iterator[None]:
        with closing(psycopg2.connect(url_of_test)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM batches WHERE id = %s FOR UPDATE", (batch_id,))
            assert cursor.rowcount == 1
            yield
            connection.rollback()

    return held
