"""Batches brought to where a test wants them, by requests and reports to the services of this process."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from app import db
from app.db import transaction
from app.domain.connection.circuits import CallOutcome, ErrorClass
from app.domain.file.files import Purpose
from app.domain.leases import Outcome, TaskStatus
from app.models import Base, Batch, Circuit, Deletion, Task, WorkerSighting, defences
from app.services import Services
from app.services.batch.orders import Order
from app.services.connection.circuits import CallReport
from app.services.file.files import NewFile
from app.services.file_batch.creation import NewFileBatch
from app.services.input import edits
from app.services.input.ready_tasks import ReadyTasks
from app.services.queue import reports
from app.services.queue.reports import Report
from app.services.reads.task_walk import Wanted
from tests.support.waiting import wait_until

OPERATOR = Order("an operator", "operator")
CONTEXT = {"actor": "an operator", "role": "operator"}
TEXT = {"text": "an answer"}
ERROR = {"code": "timeout", "message": "no answer"}
Leased = dict[str, Any]


def document(name: str = "a.txt", text: str = "some text") -> dict[str, Any]:
    return {"name": name, "text": text, "media_type": "text/plain"}


def create(services: Services, documents: int = 2, prompts: int = 1, models: int = 1, **options: Any) -> int:
    """Create a batch of documents x prompts x models; return its id."""
    body = {
        "name": "contracts",
        "documents": [document(f"{n}.txt", f"text {n}") for n in range(documents)],
        "prompts": [{"name": f"p{n}", "text": "Summarise:\n\n{document}"} for n in range(prompts)],
        "models": [{"connection": "local", "model": f"m{n}", "params": {}} for n in range(models)],
        "options": options,
    }
    return int(edits.create_batch(services.batches, body, OPERATOR)["id"])


def create_ready(services: Services, tasks: int = 2) -> int:
    """Create a batch of ready-made tasks; return its id."""
    lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/x", "body": {"model": "m"}} for n in range(tasks)]
    with ReadyTasks() as prepared:
        prepared.add(list(enumerate(lines, 1)))
        made = edits.create_batch_of_ready_tasks(services.batches, "ready", prepared, OPERATOR)
    return int(made["id"])


def create_of_file(services: Services, content: bytes, **more: Any) -> int:
    """Create a batch of a file, as a caller of /v1/batches does; it is STAGING, and a sweep reads the file."""
    with services.files.draft() as draft:
        draft.writer.write(content)
        file = draft.finish(NewFile("in.jsonl", Purpose.BATCH))
    fingerprint = f"of {file.id}"  # of a call of its own
    new = NewFileBatch(f"file-{file.id}", "/v1/chat/completions", "24h", 86_400, fingerprint, **more)
    return services.file_batches.create(new, OPERATOR).batch.id


def ask(services: Services, batch_id: int, action: str, **context: Any) -> dict[str, Any]:
    """Ask for an action; return the answer, whatever it is."""
    return services.batches.request_state_change(batch_id, action, {**CONTEXT, **context})


def act(services: Services, batch_id: int, action: str, **context: Any) -> dict[str, Any]:
    """Ask for an action that is done at once; return the answer."""
    answer = ask(services, batch_id, action, **context)
    assert answer["success"] is True, answer
    return answer


def lease(services: Services, batch_id: int | None = None, most: int = 1000, **more: Any) -> list[Leased]:
    return services.queue.lease("w", max_tasks=most, batch_id=batch_id, **more).tasks


def lease_one(services: Services, batch_id: int) -> Leased:
    """Lease the one task that the test expects to get."""
    (task,) = lease(services, batch_id, most=1)
    return task


def complete(services: Services, task: Leased, result: dict[str, Any] | None = None) -> None:
    """Report a leased task completed. Raises ReportRefused where that does not count."""
    body = {"lease_token": task["lease_token"], "result": TEXT if result is None else result}
    services.batches.handle_task_completion(task["id"], body)


def fail(services: Services, task: Leased, **more: Any) -> None:
    """Report a leased task failed. Raises ReportRefused where that does not count."""
    services.batches.handle_task_failure(task["id"], {"lease_token": task["lease_token"], "error": ERROR, **more})


def finish_all(services: Services, batch_id: int) -> None:
    """Complete every task that can be leased of a batch now."""
    while tasks := lease(services, batch_id):
        for task in tasks:
            complete(services, task)


def walk(services: Services, batch_id: int, way: str, **context: Any) -> Iterator[str]:
    """Take a batch along a way of actions, `*` for the work between them; yield each step when it is done."""
    for step in way.split():
        if step == "*":
            finish_all(services, batch_id)
        else:
            act(services, batch_id, step, **context)
        yield step


def follow(services: Services, batch_id: int, state: str) -> int:
    """Take a SAVED batch to a state on the shortest way; return its id."""
    ways = {
        "SAVED": "",
        "STAGING": "stage",
        "STAGED": "stage *",
        "ANALYZING": "stage * run",
        "PAUSED": "stage * run pause",
        "COMPLETED": "stage * run *",
        "FAILED": "stage * run cancel",
    }
    list(walk(services, batch_id, ways[state]))
    assert view(services, batch_id)["state"] == state
    return batch_id


def bring(services: Services, state: str, **shape: Any) -> int:
    """Create a batch and take it to a state; return its id."""
    return follow(services, create(services, **shape), state)


def view(services: Services, batch_id: int) -> dict[str, Any]:
    """A batch as every answer shows it: without its shares of the usage, and what its tasks wait for."""
    shown = services.reads.batches.show(batch_id)
    del shown["waiting_for"]
    return {
        **shown,
        "usage": {name: shown["usage"][name] for name in ("input_tokens", "output_tokens", "cost", "unpriced_calls")},
    }


def state_of(services: Services, batch_id: int) -> str:
    return str(view(services, batch_id)["state"])


def audit(services: Services, batch_id: int) -> list[dict[str, Any]]:
    return services.reads.audit.page(batch_id, 200)[0]


def trail(services: Services, batch_id: int) -> list[str]:
    """The triggers of a batch's changes, oldest first."""
    return [row["trigger"] for row in audit(services, batch_id)]


def tasks_of(services: Services, batch_id: int, run: int | None = None) -> list[dict[str, Any]]:
    return services.reads.tasks.page(batch_id, Wanted(run=run, by_id=True), limit=1000).tasks


def task(services: Services, task_id: str) -> dict[str, Any]:
    return services.reads.tasks.show(task_id)


def let_leases_run_out(services: Services, leases: Iterable[Leased]) -> None:
    """Move the ends of these leases into the past, as if their time had gone by."""
    _move(services, leases, TaskStatus.LEASED, "lease_expires_at")


def let_waits_end(services: Services, tasks: Iterable[dict[str, Any]]) -> None:
    """Let these tasks that wait for their next attempt be available now."""
    _move(services, tasks, TaskStatus.QUEUED, "available_at")


def _move(services: Services, tasks: Iterable[dict[str, Any]], status: TaskStatus, column: str) -> None:
    table = db.table_of(Task)
    ids = [int(each["id"]) for each in tasks]
    with transaction(services.engine) as connection:
        past = db.now(connection) - timedelta(seconds=1)
        moved = update(table).where(table.c.id.in_(ids), table.c.status == status).values({column: past})
        assert connection.execute(moved).rowcount == len(ids)


def report_calls(services: Services, *outcomes: str, connection: str = "local", **more: Any) -> list[dict[str, Any]]:
    """Report calls over a connection, each `failed`, `slowed` or `succeeded`; a failure is an outage unless named."""
    named = {"error_class": ErrorClass.OUTAGE, "message": "connection refused", **more}
    reports = [
        CallReport(connection, CallOutcome(each), **(named if each == "failed" else {"model": more.get("model")}))
        for each in outcomes
    ]
    return services.outages.report("w", reports)


def forget_workers(services: Services) -> None:
    """Forget all workers that were seen, those of this test too."""
    services.sightings.write()
    with transaction(services.engine) as connection:
        connection.execute(delete(db.table_of(WorkerSighting)))


def let_next_try_come(services: Services) -> None:
    """Let each closed circuit be due for a probe."""
    table = db.table_of(Circuit)
    with transaction(services.engine) as connection:
        past = db.now(connection) - timedelta(seconds=1)
        connection.execute(update(table).where(table.c.next_try_at.is_not(None)).values(next_try_at=past))
    services.queue.forget()


def let_outage_last(services: Services, batch_id: int, seconds: float) -> None:
    """Move the beginning of an outage, and the last change of a batch before it, into the past."""
    with transaction(services.engine) as connection:
        began = db.now(connection) - timedelta(seconds=seconds)
        _change_batch(connection, batch_id, updated_at=began - timedelta(seconds=1))
        connection.execute(update(db.table_of(Circuit)).values(since=began))


def set_deadline(services: Services, batch_id: int, at: datetime) -> None:
    """Set the deadline of a batch without an action, as if time had gone by."""
    with transaction(services.engine) as connection:
        _change_batch(connection, batch_id, deadline_at=at)


def _change_batch(connection: Connection, batch_id: int, **values: datetime) -> None:
    """Change a batch but not its version, which the database refuses otherwise."""
    batches = db.table_of(Batch)
    sqlite = next(each for each in defences.SQLITE if "defend_batches_version" in each)
    off, on = {
        "sqlite": ("DROP TRIGGER defend_batches_version", sqlite),
        "postgresql": (
            "ALTER TABLE batches DISABLE TRIGGER defend_batches",
            "ALTER TABLE batches ENABLE ALWAYS TRIGGER defend_batches",
        ),
    }[connection.dialect.name]
    connection.exec_driver_sql(off)
    connection.execute(update(batches).where(batches.c.id == batch_id).values(values))
    connection.exec_driver_sql(on)


def snapshot(services: Services) -> dict[str, list[Any]]:
    """Every row of every table: two snapshots are equal if, and only if, nothing was changed between them."""
    with services.engine.connect() as connection:
        tables = Base.metadata.sorted_tables
        return {t.name: [tuple(r) for r in connection.execute(select(t).order_by(*t.primary_key))] for t in tables}


def rows_of(services: Services, model: type[Base]) -> list[Any]:
    """The rows of one table, in the order of its key."""
    table = db.table_of(model)
    with services.engine.connect() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)))


def sweep_until_deleted(services: Services) -> None:
    """Sweep until every deletion that has begun is over: how much a sweep deletes depends on the machine."""

    def is_over() -> bool:
        services.sweeper.sweep()
        return not rows_of(services, Deletion)

    wait_until(is_over, "the end of all deletions")


def complete_in(connection: Connection, leased: Leased) -> None:
    """Take a report in the caller's transaction and raise no event: as if the process died right after the commit."""
    body = {"lease_token": leased["lease_token"], "result": TEXT}
    (verdict,) = reports.receive(connection, [Report.of(leased["id"], Outcome.COMPLETED, body)])
    assert verdict.refusal is None
