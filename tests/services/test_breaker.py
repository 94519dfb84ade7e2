"""Limits: the breaker pauses a run that crosses one, as a caller would; resume with a raised limit continues it."""

from functools import partial
from typing import Any

import pytest

from app import db
from app.domain.leases import Outcome
from app.domain.limits import FEWEST_ATTEMPTS
from app.errors import ReportRefused
from app.services import Services
from app.services.queue import reports
from app.services.queue.reports import Report
from tests.services.stories import (
    ERROR,
    Leased,
    act,
    ask,
    audit,
    bring,
    complete,
    create_ready,
    fail,
    finish_all,
    follow,
    lease,
    let_leases_run_out,
    snapshot,
    state_of,
    tasks_of,
    trail,
    view,
)
from tests.support.row_locks import HoldRow

DOLLAR: dict[str, Any] = {"text": "an answer", "usage": {"input_tokens": 90, "output_tokens": 10, "cost": 1}}
LIMITS: dict[str, dict[str, Any]] = {
    "max_cost": {"max_cost": 2},
    "max_tokens": {"max_tokens": 200},
}


def analyzing(services: Services, documents: int = 5, **limits: Any) -> int:
    """A batch in ANALYZING, whose calls cost 1 and use 100 tokens."""
    return bring(services, "ANALYZING", documents=documents, **limits)


def broken(services: Services, documents: int = 5) -> int:
    """A batch that the breaker paused: two calls for 1 each, with a limit of 2."""
    batch_id = analyzing(services, documents, **LIMITS["max_cost"])
    for leased in lease(services, batch_id, most=2):
        complete(services, leased, DOLLAR)
    assert state_of(services, batch_id) == "PAUSED"
    return batch_id


def last(services: Services, batch_id: int) -> dict[str, Any]:
    return audit(services, batch_id)[-1]


@pytest.mark.parametrize("limit", LIMITS)
def test_the_report_that_crosses_a_limit_finds_the_batch_paused(services: Services, limit: str) -> None:
    """The pause comes before the answer; its audit row has the figures, and the leases in flight."""
    batch_id = analyzing(services, **LIMITS[limit])
    first, second, _ = lease(services, batch_id, most=3)
    complete(services, first, DOLLAR)
    assert state_of(services, batch_id) == "ANALYZING"
    body = {"lease_token": second["lease_token"], "result": DOLLAR}
    _, states = services.batches.report([Report.of(second["id"], Outcome.COMPLETED, body)])
    assert states == {batch_id: "PAUSED"}
    row = last(services, batch_id)
    names = ("trigger", "kind", "from_state", "to_state", "actor", "role")
    assert [row[name] for name in names] == ["pause", "action", "ANALYZING", "PAUSED", "system:breaker", "system"]
    used = {"max_cost": (2.0, 2.0), "max_tokens": (200, 200)}[limit]
    assert row["context"] == {"limit": limit, "allowed": used[0], "used": used[1], "leases_in_flight": 1}
    assert f"its limit ({limit}) is {used[0]:g}." in row["reason"]
    assert lease(services, batch_id) == []
    assert trail(services, batch_id).count("pause") == 1


def test_work_in_flight_may_overshoot_by_no_more_than_is_said(services: Services) -> None:
    batch_id = analyzing(services, **LIMITS["max_cost"])
    leased = lease(services, batch_id, most=4)
    for each in leased:
        complete(services, each, DOLLAR)
    assert last(services, batch_id)["context"]["leases_in_flight"] == 2
    assert view(services, batch_id)["usage"]["cost"] == 4
    assert (state_of(services, batch_id), trail(services, batch_id).count("pause")) == ("PAUSED", 1)


def test_no_more_is_leased_than_the_rest_of_the_limit_pays_for(services: Services) -> None:
    """One worker that asks for all tasks at once: the run ends at most one call beyond its limit."""
    batch_id = analyzing(services, 60, max_cost=20.5)
    while leased := lease(services, batch_id):
        for each in leased:
            complete(services, each, DOLLAR)
    assert (state_of(services, batch_id), view(services, batch_id)["usage"]["cost"]) == ("PAUSED", 21)
    assert last(services, batch_id)["context"]["leases_in_flight"] == 0
    assert len(lease(services, analyzing(services, 60, max_tokens=100))) == 60, "only a limit of cost is a budget"


def test_a_failed_attempt_that_is_tried_again_costs_too(services: Services) -> None:
    batch_id = analyzing(services, max_cost=1)
    (leased,) = lease(services, batch_id, most=1)
    fail(services, leased, error={**ERROR, "usage": DOLLAR["usage"]})
    assert state_of(services, batch_id) == "PAUSED"


def test_a_late_result_may_cross_a_limit(services: Services) -> None:
    batch_id = analyzing(services, max_cost=1)
    (late,) = lease(services, batch_id, most=1)
    let_leases_run_out(services, [late])
    services.sweeper.sweep()
    lease(services, batch_id)
    with pytest.raises(ReportRefused):
        complete(services, late, DOLLAR)
    assert state_of(services, batch_id) == "PAUSED"


def test_a_limit_crossed_by_the_last_call_completes_the_batch(services: Services) -> None:
    """No active task is left: a pause would be refused."""
    batch_id = analyzing(services, 2, **LIMITS["max_cost"])
    for leased in lease(services, batch_id):
        complete(services, leased, DOLLAR)
    assert trail(services, batch_id)[-1] == "tasks_finished"


def test_a_run_that_cannot_succeed_fails_rather_than_pauses(services: Services) -> None:
    batch_id = analyzing(services, max_cost=1)
    (leased,) = lease(services, batch_id, most=1)
    fail(services, leased, critical=True, error={**ERROR, "usage": DOLLAR["usage"]})
    assert trail(services, batch_id)[-1] == "critical_error"


def test_nothing_may_be_spent(services: Services) -> None:
    """A limit of 0 is crossed by `run` itself: no task is leased."""
    batch_id = bring(services, "STAGED", max_cost=0)
    answer = act(services, batch_id, "run")
    assert (answer["new_state"], answer["batch"]["state"]) == ("ANALYZING", "PAUSED")
    assert [row["trigger"] for row in audit(services, batch_id)[-2:]] == ["run", "pause"]


def fail_share(services: Services, leased: list[Leased], failures: int) -> None:
    for nth, each in enumerate(leased):
        if nth < failures:
            fail(services, each, retryable=False)
        else:
            complete(services, each)


@pytest.mark.parametrize(("failures", "state"), [(10, "ANALYZING"), (11, "PAUSED")])
def test_a_connection_that_fails_too_often(services: Services, failures: int, state: str) -> None:
    batch_id = analyzing(services, FEWEST_ATTEMPTS + 3, max_failure_rate=0.5)
    leased = lease(services, batch_id, most=FEWEST_ATTEMPTS)
    fail_share(services, leased[:-1], failures)
    assert state_of(services, batch_id) == "ANALYZING"  # 19 attempts are too few
    complete(services, leased[-1])
    assert state_of(services, batch_id) == state
    if state == "PAUSED":
        row = last(services, batch_id)
        figures = {"limit": "max_failure_rate", "allowed": 0.5, "used": 0.55, "connection": "local"}
        assert row["context"] == {**figures, "leases_in_flight": 0}
        assert row["reason"].startswith("11 of 20 calls over connection 'local' failed, 55.0%")


def test_ready_made_tasks_are_watched_too(services: Services) -> None:
    batch_id = follow(services, create_ready(services, FEWEST_ATTEMPTS + 1), "ANALYZING")
    act(services, batch_id, "pause")
    act(services, batch_id, "resume", max_failure_rate=0.5)
    fail_share(services, lease(services, batch_id, most=FEWEST_ATTEMPTS), 15)
    assert state_of(services, batch_id) == "PAUSED"
    assert last(services, batch_id)["context"]["connection"] is None


def take_and_die(services: Services, leased: list[Leased]) -> None:
    """Take reports and nothing more, as if the process died right after the commit."""
    bodies = [{"lease_token": each["lease_token"], "result": DOLLAR} for each in leased]
    with db.transaction(services.engine) as connection:
        reports.receive(
            connection,
            [Report.of(e["id"], Outcome.COMPLETED, body) for e, body in zip(leased, bodies, strict=True)],
        )


@pytest.mark.parametrize("limits", [*LIMITS.values(), {"max_failure_rate": 0.1}], ids=str)
def test_the_sweeper_pauses_what_a_crash_left(services: Services, limits: dict[str, Any]) -> None:
    batch_id = analyzing(services, FEWEST_ATTEMPTS + 1, **limits)
    leased = lease(services, batch_id, most=FEWEST_ATTEMPTS)
    if "max_failure_rate" in limits:
        failed = [Report.of(e["id"], Outcome.FAILED, {"lease_token": e["lease_token"], "error": ERROR}) for e in leased]
        with db.transaction(services.engine) as connection:
            reports.receive(connection, failed)
    else:
        take_and_die(services, leased)
    assert state_of(services, batch_id) == "ANALYZING"
    services.sweeper.sweep()
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "PAUSED"
    assert trail(services, batch_id).count("pause") == 1


def test_the_sweeper_leaves_a_batch_within_its_limits_alone(services: Services, statements: list[str]) -> None:
    batch_id = analyzing(services, max_cost=9, max_tokens=9999, max_failure_rate=0.5)
    complete(services, lease(services, batch_id, most=1)[0], DOLLAR)
    statements.clear()
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "ANALYZING"
    assert not [each for each in statements if "FOR NO KEY UPDATE" in each or "take_and_see" in each]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_batch_locked_from_outside_is_paused_when_it_is_free(services: Services, hold_row: HoldRow) -> None:
    """Contract 4: the report is stored and answered; the pause follows when the lock is gone."""
    batch_id = analyzing(services, **LIMITS["max_cost"])
    leased = lease(services, batch_id, most=2)
    with hold_row(batch_id):
        for each in leased:
            complete(services, each, DOLLAR)
        assert state_of(services, batch_id) == "ANALYZING"
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "PAUSED"


def test_an_operators_action_finds_what_a_crash_left_done_first(services: Services) -> None:
    batch_id = analyzing(services, **LIMITS["max_cost"])
    take_and_die(services, lease(services, batch_id, most=2))
    answer = ask(services, batch_id, "pause")
    assert (answer["success"], answer["current_state"]) == (False, "PAUSED")
    assert last(services, batch_id)["actor"] == "system:breaker"


def test_resume_with_a_raised_limit_goes_on(services: Services) -> None:
    batch_id = broken(services)
    answer = act(services, batch_id, "resume", max_cost=4.5, max_tokens=None, reason="worth it")
    assert answer["batch"]["state"] == "ANALYZING"
    assert answer["batch"]["options"]["max_cost"] == 4.5
    row = last(services, batch_id)
    assert (row["trigger"], row["context"]) == ("resume", {"max_cost": 4.5, "max_tokens": None, "reason": "worth it"})
    for leased in lease(services, batch_id, most=2):
        complete(services, leased, DOLLAR)
    assert state_of(services, batch_id) == "ANALYZING"
    complete(services, lease(services, batch_id, most=1)[0], DOLLAR)
    assert trail(services, batch_id)[-1] == "tasks_finished"


def test_resume_without_a_limit_goes_on_to_the_end(services: Services) -> None:
    batch_id = broken(services)
    act(services, batch_id, "resume", max_cost=None)
    finish_all(services, batch_id)
    assert (state_of(services, batch_id), view(services, batch_id)["options"]["max_cost"]) == ("COMPLETED", None)


@pytest.mark.parametrize("context", [{}, {"max_cost": 2}, {"max_cost": 9, "max_tokens": 1}], ids=str)
def test_resume_under_a_crossed_limit_pauses_again_at_once(services: Services, context: dict[str, Any]) -> None:
    """Two changes, two audit rows; no lease lies between them."""
    batch_id = broken(services)
    answer = act(services, batch_id, "resume", **context)
    assert (answer["new_state"], answer["batch"]["state"]) == ("ANALYZING", "PAUSED")
    assert answer["batch"]["version"] == answer["version"] + 1
    resumed, paused = audit(services, batch_id)[-2:]
    assert (resumed["trigger"], resumed["actor"]) == ("resume", "an operator")
    assert (paused["trigger"], paused["actor"], paused["at"]) == ("pause", "system:breaker", resumed["at"])
    assert "its limit" in paused["reason"]
    assert lease(services, batch_id) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_raised_limit_waits_in_line_with_its_request(services: Services, hold_row: HoldRow) -> None:
    batch_id = broken(services)
    with hold_row(batch_id):
        assert ask(services, batch_id, "resume", max_cost=9)["success"] is None
        assert ask(services, batch_id, "resume", max_cost="much")["code"] == "invalid"  # is never queued
    services.sweeper.sweep()
    assert state_of(services, batch_id) == "ANALYZING"
    assert view(services, batch_id)["options"]["max_cost"] == 9


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("key", ["max_cost", "max_tokens", "max_failure_rate"])
def test_a_limit_of_null_changes_nothing(services: Services, key: str, dry_run: bool) -> None:
    batch_id = broken(services)
    before = snapshot(services)
    answer = ask(services, batch_id, "resume", **{"max_cost": 9, key: -1}, dry_run=dry_run)
    assert (answer["success"], answer["code"], answer["status"]) == (False, "invalid", 422)
    assert list(answer["errors"]["context"]) == [key]
    assert snapshot(services) == before


def test_a_refused_resume_sets_no_limit(services: Services) -> None:
    batch_id = analyzing(services, **LIMITS["max_cost"])
    assert ask(services, batch_id, "resume", max_cost=9)["code"] == "state_refused"
    assert view(services, batch_id)["options"]["max_cost"] == 2


@pytest.mark.parametrize(("context", "again"), [({}, True), ({"max_cost": 3}, False)], ids=str)
def test_a_rehearsed_resume_says_whether_it_would_be_paused_again(
    services: Services, context: dict[str, Any], again: bool
) -> None:
    batch_id = broken(services)
    before = snapshot(services)
    answer = act(services, batch_id, "resume", dry_run=True, **context)
    assert answer["new_state"] == "ANALYZING"
    assert answer["pauses_again"] == (last(services, batch_id)["reason"] if again else None)
    assert snapshot(services) == before


def test_the_next_run_has_the_same_limit_and_all_of_it(services: Services) -> None:
    batch_id = broken(services)
    act(services, batch_id, "cancel")
    act(services, batch_id, "restage", reuse="none")
    finish_all(services, batch_id)
    act(services, batch_id, "run")
    assert view(services, batch_id)["usage"]["cost"] == 0
    complete(services, lease(services, batch_id, most=1)[0], DOLLAR)
    assert state_of(services, batch_id) == "ANALYZING"


def test_without_limits_a_report_costs_no_further_statement(services: Services, statements: list[str]) -> None:
    """A failed attempt of a batch without limits does not end a phase: the batch is not read again after it."""
    counted = {}
    for name, limits in (("none", {}), ("cost", {"max_cost": 99}), ("rate", {"max_failure_rate": 0.5})):
        batch_id = analyzing(services, 2, **limits)
        leased, other = lease(services, batch_id)
        free = {"text": "x", "usage": {"cost": 0}}
        for outcome, report in (
            ("failed", partial(fail, services, leased)),
            ("completed", partial(complete, services, other, free)),
        ):
            statements.clear()
            report()
            counted[name, outcome] = len(statements)
    assert counted["cost", "failed"] > counted["none", "failed"]
    assert counted["cost", "completed"] == counted["none", "completed"]  # the sums come with the counts
    assert counted["rate", "completed"] == counted["none", "completed"] + 1
    assert tasks_of(services, batch_id)
