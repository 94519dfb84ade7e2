"""The service against a model of 100 lines, in random lives of several batches at once: they never differ.

The change of a rule is worth `make soak ARGS=tests/services/test_against_model.py`, which lives 500 on each database.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test as live

from app import logging
from app.domain import transitions
from app.services import Services
from app.services.task import run_tasks
from tests.services import lives
from tests.support.effort import SOAK, effort

RUNS = effort(test=30, soak=500)  # whole lives of 50 steps
MODEL = Path(__file__).with_name("model.py")


def test_the_model_is_100_lines_at_most_and_shares_nothing_with_the_service() -> None:
    lines = MODEL.read_text().splitlines()
    assert len(lines) <= 100
    assert [line for line in lines if "import" in line] == ["from collections import Counter"]


@pytest.fixture
def _quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write no log, and few tasks in a slice."""
    monkeypatch.setattr(run_tasks, "SLICE", lives.SLICE)
    logging.configure("ERROR")
    yield
    logging.configure("INFO")


@pytest.mark.soak
@pytest.mark.usefixtures("_quickly")
def test_the_service_does_what_the_model_does(services: Services) -> None:
    """Contract 2, 4 and 5: whatever comes in whatever order, state, version, run, tasks and trail are the model's."""
    seen: Counter[str] = Counter()
    machine = type("LivesHere", (lives.Lives,), {"services": services, "seen": seen})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    how = settings(stateful_step_count=lives.STEPS, print_blob=True, suppress_health_check=checks)
    while (missing := RUNS - seen["whole lives"]) > 0:  # Hypothesis cuts some short
        live(machine, settings=settings(how, max_examples=max(missing, 25)))
    if SOAK:  # the lives led everywhere
        kinds = {"report: counts", "report: repeated", "report: refused", "renewed: True", "released: True", "reused"}
        assert {*transitions.BY_TRIGGER, *kinds} - {*seen} == set()
