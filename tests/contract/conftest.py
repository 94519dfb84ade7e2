"""Every test here ends in the invariants; the statements that reach the database can be read."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from app.services import Services
from tests.support.invariants import broken_invariants


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    used = []
    if "services" in request.fixturenames:
        used.append(request.getfixturevalue("services"))
    if "app" in request.fixturenames:
        used.append(request.getfixturevalue("app").extensions["interlock"])
    yield
    for services in used:
        assert broken_invariants(services.engine) == []


@pytest.fixture
def statements(services: Services) -> list[str]:
    """The statements that the services have sent to the database, in order, in one line each."""
    seen: list[str] = []

    def keep(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        # As it was written, and not as the EXECUTE of what is prepared.
        seen.append(" ".join(context.statement.split()))

    event.listen(services.engine, "before_cursor_execute", keep)
    return seen
