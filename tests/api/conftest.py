"""Fixtures of the HTTP tests: a client for each role, a lock held from outside; every test ends in the invariants."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import psycopg2
import pytest
from flask import Flask

from app.services import Services
from app.services.verify import verify
from tests.support.client import ApiClient

HoldRow = Callable[[int], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    used = request.getfixturevalue("app") if "app" in request.fixturenames else None
    yield
    if used is not None:
        assert list(verify(used.extensions["interlock"])) == []


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
