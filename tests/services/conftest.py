"""Fixtures of the services' tests: every test ends in the invariants; a row may be held from outside."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event

from app.domain.connection import circuits
from app.services import Services
from tests.support.invariants import broken_invariants

pytest.register_assert_rewrite("tests.services.lives")


@pytest.fixture(autouse=True)
def _waits_of_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No closed circuit becomes due by itself while a test runs, on whatever machine: see let_next_try_come."""
    monkeypatch.setattr(circuits, "_SHORT_WAITS", tuple(60 * each for each in circuits._SHORT_WAITS))


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    """Look for contradictions after each test that has services, unless it plants some itself."""
    used = request.getfixturevalue("services") if "services" in request.fixturenames else None
    yield
    if used is not None and "unsound" not in request.fixturenames:
        assert broken_invariants(used.engine) == []


@pytest.fixture
def statements(services: Services) -> list[str]:
    """The statements that the services send to the database, in order; a prepared one is seen as its EXECUTE."""
    seen: list[str] = []
    event.listen(services.engine, "before_cursor_execute", lambda _, __, statement, *___: seen.append(statement))
    return seen


@pytest.fixture
def unsound() -> None:
    """Names a test that plants faults: it does not end in the invariants."""
