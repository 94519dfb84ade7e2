"""Batches brought to where a race begins, and to their end, by the services of one process."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from app import db
from app.db import transaction
from app.domain.leases import TaskStatus
from app.models import Task
from app.services import Services
from app.services.batch.orders import Order
from app.services.input import edits
from app.services.input.ready_tasks import ReadyTasks

OPERATOR = Order("an operator", "operator")
RESULT = {"text": "an answer"}
Leased = dict[str, Any]


def ready(services: Services, tasks: int) -> int:
    """Create a batch of ready-made tasks; return its id."""
    lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/x", "body": {"model": "m"}} for n in range(tasks)]
    with ReadyTasks() as prepared:
        prepared.add(list(enumerate(lines, 1)))
        made = edits.create_batch_of_ready_tasks(services.batches, "race", prepared, OPERATOR)
    return int(made["id"])


def act(services: Services, batch_id: int, action: str, **context: Any) -> dict[str, Any]:
    """Ask for an action that is done at once; return the answer."""
    said = {"actor": "an operator", "role": "operator", **context}
    answer = services.batches.request_state_change(batch_id, action, said)
    assert answer["success"], answer
    return answer


def staged(services: Services, tasks: int) -> int:
    """Create a batch of ready-made tasks and stage it; return its id."""
    batch_id = ready(services, tasks)
    act(services, batch_id, "stage")
    while services.batches.write_tasks(batch_id):
        pass
    return batch_id


def analyzing(services: Services, tasks: int) -> int:
    """Create a batch of ready-made tasks and bring it to ANALYZING; return its id."""
    batch_id = staged(services, tasks)
    act(services, batch_id, "run")
    return batch_id


def lease(services: Services, batch_id: int, most: int = 1000) -> list[Leased]:
    return services.queue.lease("w", max_tasks=most, batch_id=batch_id).tasks


def complete(services: Services, task: Leased, result: dict[str, Any] | None = None) -> None:
    """Report a leased task completed. Raises ReportRefused where that does not count."""
    body = {"lease_token": task["lease_token"], "result": result or RESULT}
    services.batches.handle_task_completion(task["id"], body)


def state_of(services: Services, batch_id: int) -> str:
    return str(services.reads.batches.show(batch_id)["state"])


def trail(services: Services, batch_id: int) -> list[str]:
    """The triggers of a batch's changes, oldest first."""
    return [row["trigger"] for row in services.reads.audit.page(batch_id, 200)[0]]


def let_leases_run_out(services: Services, batch_id: int) -> None:
    """Move the ends of a batch's leases into the past: as if their time had gone by."""
    tasks = db.table_of(Task)
    with transaction(services.engine) as connection:
        past = db.now(connection) - timedelta(seconds=1)
        held = (tasks.c.batch_id == batch_id) & (tasks.c.status == TaskStatus.LEASED)
        ids = connection.execute(select(tasks.c.id).where(held).order_by(tasks.c.id)).scalars().all()
        for task_id in ids:
            connection.execute(update(tasks).where(tasks.c.id == task_id, held).values(lease_expires_at=past))


def bring_to_end(services: Services, batch_ids: list[int]) -> None:
    """See batches through to COMPLETED, as operator, workers and sweeper would; whatever they went through before."""
    unended = batch_ids
    for _ in range(12):
        services.sweeper.sweep()
        states = {batch_id: state_of(services, batch_id) for batch_id in unended}
        unended = [batch_id for batch_id, state in states.items() if state != "COMPLETED"]
        for batch_id in unended:
            if action := {"SAVED": "stage", "STAGED": "run", "PAUSED": "resume"}.get(states[batch_id]):
                act(services, batch_id, action)
            for task in lease(services, batch_id):
                complete(services, task)
            let_leases_run_out(services, batch_id)
    assert not unended, states
