"""Which failure code the facts call for, and in which order where they call for several."""

import pytest
from hypothesis import given

from app.domain import guards
from app.domain.facts import Counts, Facts
from app.domain.failures import (
    CAUSED_BY_TASK,
    MESSAGES,
    Failure,
    cancelled,
    run_failure,
    staging_failure,
)
from app.domain.transitions import TABLE
from tests.domain import situations as s
from tests.domain.situations import INPUT, any_facts

STAGING_CODES = {"invalid_input", "expired", "staging_failed", "nothing_to_analyse", "staging_timeout"}
RUN_CODES = {"expired", "critical_error", "failure_limit", "all_tasks_failed"}


def code(failure: Failure | None) -> str | None:
    return failure.code if failure else None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (s.STAGING_GOES_ON, None),
        (s.STAGING_DONE, None),
        (s.STAGING_BROKEN, "staging_failed"),
        (s.NOTHING_CAME_OUT, "nothing_to_analyse"),
        (s.STAGING_STUCK, "staging_timeout"),
        # exactly at the timeout is not past it
        (Facts(**INPUT, staging=Counts(queued=2), idle_seconds=3600.0), None),
        # a batch of its own timeout
        (Facts(**INPUT, staging=Counts(queued=2), idle_seconds=11, staging_timeout_seconds=10), "staging_timeout"),
        # what is done is done, however long ago
        (Facts(**INPUT, staging=Counts(completed=2), analysis=Counts(queued=1), idle_seconds=1e6), None),
        # while the tasks are being written nothing can have come out of them
        (Facts(documents=3, staging=Counts(completed=2)), None),
        # ... but a writer that died is noticed
        (Facts(documents=3, staging=Counts(completed=2), idle_seconds=1e6), "staging_timeout"),
        # ready-made tasks need no staging task
        (Facts(ready_tasks=2, analysis=Counts(queued=2)), None),
        # a file that is not read yet has no task, and is no empty batch
        (s.INPUT_UNREAD, None),
        (s.BAD_INPUT, "invalid_input"),
        # a deadline ends what workers have still to do; ready-made tasks expire when they run
        (s.STAGING_OVERDUE, "expired"),
        (Facts(ready_tasks=2, analysis=Counts(queued=1), is_overdue=True), None),
        (Facts(**INPUT, staging=Counts(completed=2), analysis=Counts(queued=2), is_overdue=True), None),
        # a failed document before the deadline, and the deadline before the timeout
        (Facts(**INPUT, staging=Counts(queued=1, failed=1), is_overdue=True), "staging_failed"),
        (Facts(**INPUT, staging=Counts(queued=2), is_overdue=True, idle_seconds=1e6), "expired"),
        # a failed document before the timeout
        (Facts(**INPUT, staging=Counts(queued=1, failed=1), idle_seconds=1e6), "staging_failed"),
        # a failed document before the emptiness it causes
        (Facts(**INPUT, staging=Counts(failed=2)), "staging_failed"),
    ],
)  # fmt: skip
def test_why_staging_fails(facts: Facts, expected: str | None) -> None:
    assert code(staging_failure(facts)) == expected


@pytest.mark.parametrize(
    ("analysis", "limit", "expected"),
    [
        (Counts(queued=1, failed=5), None, None),  # null is no limit
        (Counts(queued=1, failed=2), 2, None),  # as many as the limit are within it
        (Counts(queued=1, failed=3), 2, "failure_limit"),
        (Counts(queued=1, failed=1), 0, "failure_limit"),
        (Counts(completed=1, failed=5), None, None),  # one good task is a run that completed
        (Counts(failed=5), None, "all_tasks_failed"),
        (Counts(leased=1, failed=5), None, None),  # not while one is open
        (Counts(), None, None),
        (Counts(failed=1, critical=1), 0, "critical_error"),  # critical before limit and all failed
        (Counts(failed=3), 1, "failure_limit"),  # limit before all failed
        (Counts(completed=9, failed=1, critical=1), None, "critical_error"),
    ],
)
def test_why_a_run_fails(analysis: Counts, limit: int | None, expected: str | None) -> None:
    assert code(run_failure(Facts(analysis=analysis, max_failed_tasks=limit))) == expected


@pytest.mark.parametrize(
    ("analysis", "expected"),
    [
        (Counts(queued=1), "expired"),
        (Counts(leased=1, completed=9), "expired"),
        (Counts(completed=9), None),  # a run that is done is COMPLETED, however late that is noticed
        (Counts(failed=2), "all_tasks_failed"),
        (Counts(queued=1, failed=1, critical=1), "critical_error"),
    ],
)
def test_a_run_expires_while_tasks_are_open(analysis: Counts, expected: str | None) -> None:
    assert code(run_failure(Facts(analysis=analysis, is_overdue=True))) == expected
    assert code(run_failure(Facts(analysis=analysis))) == (None if expected == "expired" else expected)


def test_the_messages_hold_the_facts() -> None:
    limit = run_failure(s.RUN_OVER_LIMIT)
    timeout = staging_failure(s.STAGING_STUCK)
    all_failed = run_failure(s.RUN_ALL_FAILED)
    assert limit
    assert limit.message == "2 tasks failed; the limit is 1."
    assert timeout
    assert timeout.message == "Staging made no progress for 3600 s: no lease and no report."
    assert all_failed
    assert all_failed.message == "All 2 tasks of the run failed."
    assert cancelled(s.EMPTY) == Failure("cancelled", "Cancelled on request.")


def test_every_code_of_the_contract_is_reached_and_has_a_message() -> None:
    situations = [v for v in vars(s).values() if isinstance(v, Facts)]
    reached = {code(f(facts)) for facts in situations for f in (staging_failure, run_failure, cancelled)}
    assert reached - {None} == STAGING_CODES | RUN_CODES | {"cancelled"} == set(MESSAGES)
    assert set(CAUSED_BY_TASK) <= set(MESSAGES)


@given(facts=any_facts())
def test_failures_keep_to_their_phase_and_fill_in_their_message(facts: Facts) -> None:
    for failure, codes in ((staging_failure(facts), STAGING_CODES), (run_failure(facts), RUN_CODES)):
        if failure:
            assert failure.code in codes
            assert "{" not in failure.message


@given(facts=any_facts())
def test_precedence_critical_then_limit_then_all_failed(facts: Facts) -> None:
    found, tasks = code(run_failure(facts)), facts.analysis
    if tasks.critical:
        assert found == "critical_error"
    elif facts.max_failed_tasks is not None and tasks.failed > facts.max_failed_tasks:
        assert found == "failure_limit"
    else:
        assert found == ("all_tasks_failed" if tasks.failed and tasks.failed == tasks.total else None)


@pytest.mark.parametrize("documents", [0, 1])
@pytest.mark.parametrize("prompts", [0, 1])
@pytest.mark.parametrize("models", [0, 1])
@pytest.mark.parametrize("ready_tasks", [0, 1])
def test_work_is_all_three_or_ready_tasks(documents: int, prompts: int, models: int, ready_tasks: int) -> None:
    objection = guards.has_work(Facts(documents, prompts, models, ready_tasks))
    assert (objection is None) == bool(ready_tasks or (documents and prompts and models))


@given(facts=any_facts())
def test_active_tasks_are_queued_or_leased(facts: Facts) -> None:
    assert (guards.has_active_tasks(facts) is None) == (facts.analysis.queued + facts.analysis.leased > 0)


def test_every_guard_but_always_states_its_rule() -> None:
    rules = [row.guard.__doc__ for row in TABLE if row.guard is not guards.always]
    assert len(rules) == 6
    assert all(rules)
