"""Fixtures for all tests: fresh databases of both kinds, services on them, a client, a server process.

`database_url` runs a test once on each database; `sqlite_url` and `postgres_url` are for tests of one alone.
One private PostgreSQL serves the whole run: under pytest-xdist its controller starts it for all workers.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app, db, logging
from app.services import Services, build
from app.services.batch.batch_service import BatchService
from app.services.queue.task_queue import TaskQueue
from app.ui.fragments import prepare_fragments
from app.worker.extraction.ocr import tesseract
from config import Config
from tests.support import databases, lean_run
from tests.support.client import ApiClient, api_client
from tests.support.databases import NewDatabase
from tests.support.effort import SOAK, load_profile
from tests.support.engines import engine_for, give_back
from tests.support.memory import memory_folder
from tests.support.pgbouncer import NoPgBouncer, private_pgbouncer
from tests.support.postgres import NoPostgres, private_postgres
from tests.support.row_locks import HoldRow, row_locks
from tests.support.server import (
    ROLES,
    FolderServers,
    LiveServer,
    SharedServers,
    StartServer,
    running_server,
    servers_once,
)

OPENED = pytest.StashKey[ExitStack]()
POSTGRES_URL = pytest.StashKey[str]()


def _start_postgres(config: pytest.Config) -> str:
    if POSTGRES_URL not in config.stash:
        config.stash[OPENED] = ExitStack()
        try:
            config.stash[POSTGRES_URL] = config.stash[OPENED].enter_context(private_postgres())
        except NoPostgres as error:
            pytest.exit(str(error), returncode=1)
    return config.stash[POSTGRES_URL]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker, before it starts, where the server is."""
    node.workerinput["postgres_url"] = _start_postgres(node.config)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(lean_run)
    logging.configure("INFO")
    load_profile()


def pytest_unconfigure(config: pytest.Config) -> None:
    if OPENED in config.stash:
        config.stash[OPENED].close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each race several times in `make soak`: `@pytest.mark.soak(rounds=100)`."""
    rounds = [mark.kwargs["rounds"] for mark in metafunc.definition.iter_markers("soak") if "rounds" in mark.kwargs]
    if SOAK and rounds:
        metafunc.fixturenames.append("soak_round")
        metafunc.parametrize("soak_round", range(rounds[0]))


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> str:
    """The base URL of the run's private PostgreSQL, without a database."""
    given = getattr(request.config, "workerinput", {}).get("postgres_url")
    return given or _start_postgres(request.config)


@pytest.fixture(scope="session")
def pooler_urls(postgres_server: str) -> Iterator[Callable[[str], str]]:
    """Give the base URL of a PgBouncer in front of that server, by its pool mode; each mode is started once."""
    with ExitStack() as running:

        @cache
        def start(mode: str) -> str:
            try:
                return running.enter_context(private_pgbouncer(postgres_server, mode))
            except NoPgBouncer as error:
                pytest.fail(str(error), pytrace=False)

        yield start


@pytest.fixture(scope="session")
def tesseract_installed() -> None:
    """Fail where no Tesseract reads English: tests of scans do not skip."""
    if "eng" not in tesseract.languages():
        pytest.fail("These tests need Tesseract: `apt-get install tesseract-ocr`.", pytrace=False)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    with databases.postgres_template(postgres_server) as name:
        yield name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_pool(postgres_server: str, postgres_template: str) -> Iterator[databases.PostgresPool]:
    with ExitStack() as opened:
        yield databases.PostgresPool(postgres_server, postgres_template, opened)


@pytest.fixture
def postgres_url(postgres_pool: databases.PostgresPool) -> Iterator[str]:
    """A migrated PostgreSQL database without a row."""
    with postgres_pool.database() as url:
        yield url


@pytest.fixture(scope="session")
def new_database(postgres_pool: databases.PostgresPool, sqlite_pool: databases.SqlitePool) -> NewDatabase:
    """Give a fresh migrated database of a kind for as long as a block lasts: for what several tests use."""
    return lambda kind: sqlite_pool.database(again=False) if kind == "sqlite" else postgres_pool.database()


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL database without a table."""
    with databases.postgres_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_pool(sqlite_template: Path) -> Iterator[databases.SqlitePool]:
    with memory_folder("interlock-sqlite-") as folder:
        yield databases.SqlitePool(sqlite_template, folder)


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, sqlite_pool: databases.SqlitePool) -> Iterator[str]:
    """A fresh migrated SQLite database."""
    with sqlite_pool.database(again="start_server" not in request.fixturenames) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh migrated database, once of each kind."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


@pytest.fixture
def locked_url(postgres_url: str) -> str:
    """The database in which `hold_row` locks rows: SQLite has no row locks."""
    return postgres_url


@pytest.fixture
def hold_row(locked_url: str) -> HoldRow:
    """Lock a batch's row from a connection of another program, as somebody at psql would."""
    return row_locks(locked_url)


@pytest.fixture
def config(database_url: str) -> Config:
    """The settings of a service in this process: nothing runs beside it unless a test starts it."""
    return Config(database_url=database_url, embedded_worker=False, sweeper=False)


@pytest.fixture
def services(config: Config) -> Iterator[Services]:
    built = build(config)
    yield built
    give_back(built.engine)


@pytest.fixture
def another(config: Config) -> Iterator[Callable[..., Services]]:
    """Make services of another process on the same database, though they live in this one."""
    with ExitStack() as opened:

        def make(**settings: Any) -> Services:
            services = build(replace(config, **settings))
            opened.callback(give_back, services.engine)
            return services

        yield make


@pytest.fixture
def batches(services: Services) -> BatchService:
    return services.batches


@pytest.fixture
def queue(services: Services) -> TaskQueue:
    return services.queue


@pytest.fixture
def tokens(services: Services) -> dict[str, str]:
    """The secret of one token for each role."""
    return {role: services.tokens.create(f"a {role}", role)["token"] for role in ROLES}


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Override pytest-flask's: it keeps one request open for a whole test; each of ours shall have its own."""


@pytest.fixture(scope="session", autouse=True)
def _engines_are_used_again() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(db, "make_engine", engine_for)
        yield


@cache
def _application(settings: Config) -> Flask:
    return create_app(settings)


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The application on the test's database. Its routes and pages are made once: they take longer than most tests."""
    made = _application(replace(config, database_url="sqlite://"))
    settings = dict(made.config)
    made.extensions["interlock"] = build(config)
    prepare_fragments(made)
    yield made
    give_back(made.extensions["interlock"].engine)
    made.config.update(settings)


@pytest.fixture
def client(app: Flask, tokens: dict[str, str]) -> ApiClient:
    """A client with the admin's token; `client.acting_as("viewer")` has another's, `acting_as(None)` none."""
    return api_client(app, tokens)


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start server processes, `start_server(database_url, workers=2, SWEEPER="0")`; all end with the test."""
    with ExitStack() as running:
        yield lambda *args, **kwargs: running.enter_context(running_server(*args, **kwargs))


@pytest.fixture(scope="session")
def folder_servers(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[FolderServers]:
    servers = request.config.stash[lean_run.SERVERS] = FolderServers(new_database)
    yield servers
    servers.end()


@pytest.fixture(scope="module")
def shared_servers(folder_servers: FolderServers) -> SharedServers:
    """Start a server on a kind of database, `shared_servers("sqlite", workers=2)`, or give the folder's that runs."""
    return folder_servers.servers


@pytest.fixture(scope="module")
def module_servers(new_database: NewDatabase) -> Iterator[SharedServers]:
    """As `shared_servers`, for tests with workers: a worker leases any task, also one that other tests left behind."""
    with ExitStack() as running:
        yield servers_once(new_database, running)


@pytest.fixture(scope="module")
def service_with_worker(folder_servers: FolderServers) -> LiveServer:
    """The folder's server with an embedded worker, for tests of what operators use: each has batches of its own."""
    return folder_servers.with_worker()


@pytest.fixture
def live_server(request: pytest.FixtureRequest, start_server: Any, database_url: str) -> LiveServer:
    """A server process on a fresh database of each kind, without an embedded worker.

    Other settings: `@pytest.mark.parametrize("live_server", [{"workers": 2}], indirect=True)`.
    """
    server: LiveServer = start_server(database_url, **getattr(request, "param", {}))
    return server
