"""Fixtures of the HTTP tests: a client for each role, a lock held from outside; every test ends in the invariants."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app import create_app
from app.services import Services
from config import Config
from tests.support.client import ApiClient, api_client
from tests.support.databases import NewDatabase
from tests.support.invariants import broken_invariants
from tests.support.server import ROLES


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    used = [request.getfixturevalue(name) for name in ("app", "same_app") if name in request.fixturenames]
    yield
    for app in used:
        assert broken_invariants(app.extensions["interlock"].engine) == []


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def same_app(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Flask]:
    """One application for all tests of a module, on each database."""
    with new_database(request.param) as url:
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
