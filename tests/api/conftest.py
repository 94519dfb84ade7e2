"""Fixtures of the HTTP tests: a client for each role, a lock held from outside; every test ends in the invariants."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager

import psycopg2
import pytest
from flask import Flask

from app import create_app
from app.services import Services
from app.services.upkeep.verify import verify
from config import Config
from tests.support import databases
from tests.support.client import ApiClient, api_client
from tests.support.server import ROLES

HoldRow = Callable[[int], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    used = [request.getfixturevalue(name) for name in ("app", "same_app") if name in request.fixturenames]
    yield
    for app in used:
        assert list(verify(app.extensions["interlock"].engine)) == []


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def same_app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One application for all tests of a module, on each database."""
    with ExitStack() as opened:
        if request.param == "sqlite":
            folder = tmp_path_factory.mktemp("same")
            url = databases.sqlite_database(request.getfixturevalue("sqlite_template"), folder)
        else:
            server, template = (request.getfixturevalue(f"postgres_{name}") for name in ("server", "template"))
            url = opened.enter_context(databases.postgres_database(server, template))
        app = create_app(Config(database_url=url, embedded_worker=False, sweeper=False))
        yield app
        app.extensions["interlock"].engine.dispose()


@pytest.fixture(scope="module")
def same_client(same_app: Flask) -> ApiClient:
    """A client for tests that leave nothing behind which another test would see: a fresh one costs half a second."""
    store = same_app.extensions["interlock"].tokens
    return api_client(same_app, {role: store.create(f"a {role}", role)["token"] for role in ROLES})


@pytest.fixture
def service(app: Flask) -> Services:
    """The services of the application under test itself."""
    found: Services = app.extensions["interlock"]
    return found


@pytest.fixture
def viewer(client: ApiClient) -> ApiClient:
    return client.acting_as("viewer")


@pytest.fixture
def operator(client: ApiClient) -> ApiClient:
    return client.acting_as("operator")


@pytest.fixture
def worker(client: ApiClient) -> ApiClient:
    return client.acting_as("worker")


@pytest.fixture
def hold_row(postgres_url: str) -> HoldRow:
    """Lock a batch's row from a connection of another program, as somebody at psql would."""

    @contextmanager
    def held(batch_id: int) -> Iterator[None]:
        with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM batches WHERE id = %s FOR UPDATE", (batch_id,))
            assert cursor.rowcount == 1
            yield
            connection.rollback()

    return held
