"""The workers' protocol: lease, heartbeat, report, release; and one task with all its details."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Response

from app.api.access import token_is_valid
from app.api.idempotency import recorder
from app.api.replies import reply
from app.api.routes import Routes
from app.api.schemas.headers import DATABASE_TIME
from app.api.schemas.shown import (
    GrantedSchema,
    LeaseVerdict,
    ReportedSchema,
    ReportVerdict,
    WholeTaskSchema,
    list_of,
)
from app.api.schemas.worker_calls import CompleteBody, FailBody, HeartbeatBody, LeaseBody, ReleaseBody, ReportBody
from app.domain.leases import Outcome
from app.domain.roles import READERS, WORKERS
from app.domain.times import rfc3339
from app.errors import Refusal
from app.services.queue.reports import Report
from app.services.queue.task_queue import Granted
from app.web.services import services

routes = Routes("tasks", __name__, url_prefix="/api/tasks", description="What queue workers call")
_LEASES = list_of("leases", LeaseVerdict, paged=False)
TASK = "/<task:task_id>"
_OUTCOMES = {str(each): each for each in Outcome}  # to look one up costs less than to call the enumeration


def _leased(granted: Granted) -> Response:
    return reply({"tasks": granted.tasks, "closed": granted.closed, "probe": granted.probe})


def _refs(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(lease["task_id"], lease["lease_token"]) for lease in body["leases"]]


@routes.after_request
def add_time(response: Response) -> Response:
    """Add the time of the clock by which leases run out. A worker's clock may be wrong, and so may this machine's."""
    if response.status_code == 200:
        with suppress(Refusal):
            response.headers["Database-Time"] = rfc3339(services().clock.now())
    return response


@routes.call("POST", "/lease", WORKERS, refuses=[503], body=True)
@routes.arguments(LeaseBody())
@routes.response(200, GrantedSchema, headers=DATABASE_TIME)
def lease(body: Mapping[str, Any]) -> Response:
    """Lease tasks; with `wait_seconds`, wait for the first one. The list is empty when there is nothing to do."""
    record = recorder(_leased, lambda granted: {task["batch_id"] for task in granted.tasks})
    return _leased(services().queue.lease(**body, record=record, is_allowed=token_is_valid()))


@routes.call("POST", "/heartbeat", WORKERS, refuses=[503], body=True)
@routes.arguments(HeartbeatBody())
@routes.response(200, _LEASES, headers=DATABASE_TIME)
def heartbeat(body: Mapping[str, Any]) -> Response:
    """Renew leases; `ok: false` means stop working on that task."""
    return reply({"leases": services().queue.heartbeat(_refs(body), body["lease_seconds"])})


@routes.call("POST", "/release", WORKERS, refuses=[503], body=True)
@routes.arguments(ReleaseBody())
@routes.response(200, _LEASES, headers=DATABASE_TIME)
def release(body: Mapping[str, Any]) -> Response:
    """Hand tasks back unharmed; the attempt does not count."""
    return reply({"leases": services().queue.release(_refs(body))})


@routes.call("POST", f"{TASK}/complete", WORKERS, refuses=[404, 409, 503], body=True)
@routes.arguments(CompleteBody())
@routes.response(200, ReportedSchema, headers=DATABASE_TIME)
def complete(body: Mapping[str, Any], task_id: str) -> Response:
    """Report a task's result."""
    return _report_one(Report(task_id=task_id, outcome=Outcome.COMPLETED, **body))


@routes.call("POST", f"{TASK}/fail", WORKERS, refuses=[404, 409, 503], body=True)
@routes.arguments(FailBody())
@routes.response(200, ReportedSchema, headers=DATABASE_TIME)
def fail(body: Mapping[str, Any], task_id: str) -> Response:
    """Report that a task failed: it may be tried again, or failed for good, or the whole batch fails with it."""
    return _report_one(Report(task_id=task_id, outcome=Outcome.FAILED, **body))


def _report_one(report: Report) -> Response:
    verdicts, states = services().batches.report([report])
    verdict = verdicts[0]
    if verdict.refusal:
        raise verdict.refusal
    state = states[verdict.batch_id] if verdict.batch_id is not None else None
    return reply({"task_id": report.task_id, "status": verdict.status, "batch_state": state})


@routes.call("POST", "/report", WORKERS, refuses=[503], body=True)
@routes.arguments(ReportBody())
@routes.response(200, list_of("reports", ReportVerdict, paged=False), headers=DATABASE_TIME)
def report(body: Mapping[str, Any]) -> Response:
    """Report up to 1000 tasks, each judged by itself, in order."""
    received = [Report(**{**item, "outcome": _OUTCOMES[item["outcome"]]}) for item in body["reports"]]
    verdicts, _ = services().batches.report(received)
    return reply(
        {
            "reports": [
                {"task_id": verdict.task_id, "status": verdict.refusal.status, "reason": verdict.refusal.detail}
                if verdict.refusal
                else {"task_id": verdict.task_id, "status": 200, "task_status": verdict.status}
                for verdict in verdicts
            ]
        }
    )


@routes.call("GET", TASK, READERS, refuses=[404])
@routes.response(200, WholeTaskSchema, headers=DATABASE_TIME)
def show(task_id: str) -> Response:
    """Show a task with its result, its error, its attempts and its late results."""
    return reply(services().reads.tasks.show(task_id))
