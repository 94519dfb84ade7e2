"""Fixtures of the tests about keeping and forgetting: each test that has services ends in the invariants."""

from collections.abc import Iterator

import pytest

from tests.support.invariants import broken_invariants


@pytest.fixture(autouse=True)
def _ends_in_the_invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    used = request.getfixturevalue("services") if "services" in request.fixturenames else None
    yield
    if used is not None:
        assert broken_invariants(used.engine) == []
