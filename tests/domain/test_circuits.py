"""The whole matrix of circuits, report x phase, against a copy of the rules that was typed by hand for this test."""

from itertools import product

import pytest

from app.domain.connection.circuits import (
    PHASES,
    TABLE,
    CallOutcome,
    CircuitState,
    ErrorClass,
    Probe,
    decide,
    wait_seconds,
)

PHASE_NAMES = {
    "open": ("open", None),
    "slowed": ("slowed", None),
    "closed": ("closed", None),
    "probed": ("closed", "task"),
    "called": ("closed", "call"),
    "answered": ("closed", "answered"),
}
BEFORE = 2  # failures in a row before the report

# report, phase -> state, failures in a row, probe, wait, is late; beside it the rule
RULES = [
    ("failed", "open", "closed", 3, None, 4.0, False),  # closes
    ("failed", "slowed", "closed", 3, None, 4.0, False),
    ("failed", "closed", "closed", 2, None, 0.0, True),  # a call that began before the closing, or the same again
    ("failed", "probed", "closed", 3, None, 4.0, False),  # the next wait is longer
    ("failed", "called", "closed", 3, None, 4.0, False),
    ("failed", "answered", "closed", 2, "answered", 0.0, True),  # the task that tries it is still to come
    ("slowed", "open", "slowed", 0, None, None, False),  # calls are made
    ("slowed", "slowed", "slowed", 0, None, None, False),
    ("slowed", "closed", "slowed", 0, None, None, False),
    ("slowed", "probed", "slowed", 0, None, None, False),
    ("slowed", "called", "slowed", 0, None, None, False),
    ("slowed", "answered", "slowed", 0, None, None, False),
    ("succeeded", "open", "open", 0, None, None, False),  # opens
    ("succeeded", "slowed", "open", 0, None, None, False),
    ("succeeded", "closed", "open", 0, None, None, False),
    ("succeeded", "probed", "open", 0, None, None, False),
    ("succeeded", "called", "closed", 2, "answered", 0.0, False),  # a task is next, at once
    ("succeeded", "answered", "open", 0, None, None, False),
]


def phase(name: str) -> tuple[CircuitState, Probe | None]:
    state, probe = PHASE_NAMES[name]
    return CircuitState(state), Probe(probe) if probe else None


def test_every_report_in_every_phase_has_a_rule_here() -> None:
    assert [rule[:2] for rule in RULES] == list(product(CallOutcome, PHASE_NAMES))
    assert tuple(map(phase, PHASE_NAMES)) == PHASES
    assert {outcome: set(rules) for outcome, rules in TABLE.items()} == {key: set(PHASES) for key in CallOutcome}


@pytest.mark.parametrize(("report", "name", "state", "failures", "probe", "wait", "is_late"), RULES)
def test_what_follows_from_a_report(
    report: str, name: str, state: str, failures: int, probe: str | None, wait: float | None, is_late: bool
) -> None:
    error_class = ErrorClass.OUTAGE if report == "failed" else None
    change = decide(CallOutcome(report), phase(name), BEFORE, error_class, None, jitter=0)
    assert (change.state, change.failures, change.probe, change.wait_seconds, change.is_late) == (
        state,
        failures,
        probe,
        wait,
        is_late,
    )


@pytest.mark.parametrize(
    ("classes", "waits"),
    [
        ((ErrorClass.OUTAGE, ErrorClass.RATE_LIMIT), [1, 2, 4, 8, 16, 25, 25, 25]),
        ((ErrorClass.ACCESS, ErrorClass.MODEL), [30, 60, 120, 300, 600, 600, 600, 600]),
    ],
)
def test_waits_grow_with_the_failures_in_a_row(classes: tuple[ErrorClass, ...], waits: list[int]) -> None:
    for each in classes:
        assert [wait_seconds(each, number, 0) for number in range(1, 9)] == waits
        assert wait_seconds(each, 10**9, 0) == waits[-1]


def test_jitter_adds_up_to_a_fifth() -> None:
    assert wait_seconds(ErrorClass.OUTAGE, 6, 1) == 30
    assert wait_seconds(ErrorClass.OUTAGE, 6, 0.5) == pytest.approx(27.5)


@pytest.mark.parametrize(("asked", "wait"), [(0, 4.0), (3, 4.0), (80_000, 80_000.0), (10**9, 7 * 86_400.0)])
def test_what_the_server_asks_for_comes_first_where_it_is_longer(asked: float, wait: float) -> None:
    """At most seven days."""
    change = decide(CallOutcome.FAILED, phase("open"), BEFORE, ErrorClass.RATE_LIMIT, asked, jitter=0)
    assert change.wait_seconds == wait


def test_a_late_failure_only_changes_the_wait_that_the_server_requests() -> None:
    change = decide(CallOutcome.FAILED, phase("closed"), BEFORE, ErrorClass.RATE_LIMIT, 3600, jitter=0)
    assert (change.failures, change.wait_seconds, change.is_late) == (BEFORE, 3600, True)
