"""The tests of actions, leases and reports once more: the service reaches its database through PgBouncer."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app import create_app
from config import Config
from tests.support.databases import NewDatabase
from tests.support.pgbouncer import MODES


def through(pooler_url: str, database_url: str) -> str:
    return f"{pooler_url}/{database_url.rpartition('/')[2]}"


@pytest.fixture(params=MODES)
def database_url(request: pytest.FixtureRequest, pooler_urls: Callable[[str], str], postgres_url: str) -> str:
    return through(pooler_urls(request.param), postgres_url)


@pytest.fixture(scope="module", params=MODES)
def same_app(
    request: pytest.FixtureRequest, pooler_urls: Callable[[str], str], new_database: NewDatabase
) -> Iterator[Flask]:
    """One application for all tests of a module, through each kind of pooling."""
    with new_database("postgresql") as url:
        url = through(pooler_urls(request.param), url)
        app = create_app(Config(database_url=url, embedded_worker=False, sweeper=False))
        yield app
        app.extensions["interlock"].engine.dispose()
