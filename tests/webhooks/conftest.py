"""Fixtures for webhooks: services that may send to this machine, and receivers on it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import event

from app.services import Services
from app.services.webhook import courier, notifying
from config import Config
from tests.support.invariants import broken_invariants
from tests.support.receiver import Receiver, running_receiver
from tests.support.waiting import LIMIT_SECONDS

LOCAL = "127.0.0.0/8"


@pytest.fixture
def config(database_url: str) -> Config:
    return Config(database_url=database_url, embedded_worker=False, sweeper=False, webhook_allowed_networks=LOCAL)


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    used = request.getfixturevalue("services") if "services" in request.fixturenames else None
    yield
    if used is not None:
        assert broken_invariants(used.engine) == []


@pytest.fixture(autouse=True)
def _warns_at_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "WARN_SECONDS", -1.0)


@pytest.fixture(autouse=True)
def _has_time_to_send_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process needs half a second, and on a busy machine far more."""
    monkeypatch.setattr(notifying, "SECONDS", LIMIT_SECONDS)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def receivers() -> Iterator[Callable[..., Receiver]]:
    """Start further receivers: `receivers(answer)`."""
    with ExitStack() as running:
        yield lambda *answer: running.enter_context(running_receiver(*answer))


@pytest.fixture
def statements(services: Services) -> list[str]:
    """The statements that the services send to the database, in order; a prepared one is seen as its EXECUTE."""
    seen: list[str] = []
    event.listen(services.engine, "before_cursor_execute", lambda _, __, statement, *___: seen.append(statement))
    return seen
