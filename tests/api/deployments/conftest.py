"""The tests of actions, leases and reports once more: PostgreSQL is behind PgBouncer, or has failed over.

A failover needs servers of its own, so only `make soak` tries that one here.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from flask import Flask

from app import create_app
from config import Config
from tests.support import databases
from tests.support.databases import NewDatabase
from tests.support.effort import SOAK
from tests.support.pgbouncer import MODES
from tests.support.standby import Pair, primary_and_standby

DEPLOYMENTS = [*MODES, *([pytest.param("failed over", marks=pytest.mark.soak)] if SOAK else [])]


@dataclass(frozen=True)
class Deployed:
    """A fresh database: the URL for the service, and that of the server itself."""

    url: str
    direct_url: str


Deploy = Callable[[str], AbstractContextManager[Deployed]]


@pytest.fixture(scope="session")
def failed_over() -> Iterator[tuple[Pair, databases.PostgresPool]]:
    """A server that has taken the place of another one."""
    with ExitStack() as opened:
        pair = opened.enter_context(primary_and_standby())
        pair.crash()
        pair.promote()
        template = opened.enter_context(databases.postgres_template(pair.standby.url))
        yield pair, databases.PostgresPool(pair.standby.url, template, opened)


@pytest.fixture(scope="session")
def deploy(request: pytest.FixtureRequest, pooler_urls: Callable[[str], str], new_database: NewDatabase) -> Deploy:
    @contextmanager
    def deployed(how: str) -> Iterator[Deployed]:
        if how in MODES:
            with new_database("postgresql") as url:
                yield Deployed(f"{pooler_urls(how)}/{url.rpartition('/')[2]}", url)
        else:
            pair, pool = request.getfixturevalue("failed_over")
            with pool.database() as url:
                yield Deployed(pair.url(url.rpartition("/")[2]), url)

    return deployed


@pytest.fixture(params=DEPLOYMENTS)
def deployed(request: pytest.FixtureRequest, deploy: Deploy) -> Iterator[Deployed]:
    with deploy(request.param) as made:
        yield made


@pytest.fixture
def database_url(deployed: Deployed) -> str:
    return deployed.url


@pytest.fixture
def postgres_url(deployed: Deployed) -> str:
    """For tests that reach the database beside the service."""
    return deployed.direct_url


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def same_app(request: pytest.FixtureRequest, deploy: Deploy) -> Iterator[Flask]:
    """One application for all tests of a module, on each deployment."""
    with deploy(request.param) as made:
        app = create_app(Config(database_url=made.url, embedded_worker=False, sweeper=False))
        yield app
        app.extensions["interlock"].engine.dispose()
