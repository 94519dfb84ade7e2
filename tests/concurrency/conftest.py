"""Fixtures of the races. Every test ends in the invariants, once all of its processes have ended."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from app.services import Services, build
from config import Config
from tests.concurrency.over_http import Caller
from tests.support.invariants import broken_invariants
from tests.support.server import LiveServer, Shared, SharedServers

Call = Callable[..., Caller]


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, shared_servers: SharedServers) -> Shared:
    return shared_servers(request.param, workers=2)


@pytest.fixture
def shared_postgres(shared_servers: SharedServers) -> Shared:
    return shared_servers("postgresql", workers=2)


@pytest.fixture
def url_of_test(request: pytest.FixtureRequest) -> str:
    """The database that a test uses: a shared server's, or its own."""
    for name in ("shared", "shared_postgres", "mortal"):
        if name in request.fixturenames:
            return str(request.getfixturevalue(name).database_url)
    return str(request.getfixturevalue("database_url"))


@pytest.fixture
def locked_url(url_of_test: str) -> str:
    return url_of_test


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(url_of_test: str) -> Iterator[None]:
    yield
    services = build(Config(database_url=url_of_test))
    try:
        assert broken_invariants(services.engine) == []
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
