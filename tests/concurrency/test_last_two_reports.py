"""The last two tasks of a batch, reported at once: the story of rails/solid_queue#142 and bensheldon/good_job#832."""

import time
from collections import Counter

import pytest
from sqlalchemy import and_, func, insert, literal, select, update

from app import db
from app.db import transaction
from app.domain.leases import Outcome
from app.domain.transitions import BatchState
from app.models import AuditRow, Batch, ReadyTask, Task, TaskCounts
from app.services import Services
from app.services.queue.reports import Report
from tests.concurrency import stories
from tests.concurrency.processes import meeting, race, services_on
from tests.support.effort import effort

# With the look after the commit taken away, so that each reporter sees the other's task open, 30 to 37 of 100 rounds on
# PostgreSQL left their batch open, on one core too: 200 rounds miss it with a chance below 10 ** -30. SQLite has one
# writer, so that it cannot happen there; its rounds are for the event that comes once. A quarter of them overlap, and a
# tenth on two cores with much other work: twice the rounds, for as many that overlap.
ROUNDS = {"postgresql": effort(test=200, soak=1_000), "sqlite": effort(test=300, soak=500)}
LEAST_OVERLAPPING = {"postgresql": 0.1, "sqlite": 0.05}
Round = tuple[int, str, str]  # batch, task, lease token


def copies(services: Services, template: int, amount: int) -> None:
    """Copy a batch, with its history, tasks and leases: row for row, version for version."""
    batches, audit = db.table_of(Batch), db.table_of(AuditRow)
    first = {"state": "SAVED", "version": 1, "run": 0}
    columns = [c for c in batches.c if c.name != "id"]
    row = [literal(first[c.name], c.type).label(c.name) if c.name in first else c for c in columns]
    number = select(literal(1).label("n")).cte(recursive=True)
    number = number.union_all(select(number.c.n + 1).where(number.c.n < amount))
    with transaction(services.engine) as connection:
        of_template = select(*row).select_from(batches.join(number, literal(True))).where(batches.c.id == template)
        connection.execute(insert(batches).from_select([c.name for c in columns], of_template))
        for change in connection.execute(select(audit).where(audit.c.batch_id == template).order_by(audit.c.version)):
            after = {"state": change.to_state, "version": change.version, "run": int(change.version > 1)}
            if change.version > 1:
                connection.execute(update(batches).where(batches.c.id > template).values(after))
        for model in (AuditRow, ReadyTask, Task, TaskCounts):
            table = db.table_of(model)
            names = [c.name for c in table.c if c.name != "id"]
            taken = [batches.c.id.label(name) if name == "batch_id" else table.c[name] for name in names]
            joined = table.join(batches, and_(table.c.batch_id == template, batches.c.id > template))
            connection.execute(insert(table).from_select(names, select(*taken).select_from(joined)))


def rounds_of(services: Services) -> list[list[Round]]:
    """The two leased tasks of every batch, in two lists: one for each reporter."""
    with db.reading(services.engine) as connection:
        found = connection.execute(select(Task.batch_id, Task.id, Task.lease_token).order_by(Task.batch_id, Task.id))
        rows = [(batch_id, str(task_id), token) for batch_id, task_id, token in found]
    return [rows[0::2], rows[1::2]]


def report_all(database_url: str, rounds: list[Round]) -> list[tuple[float, float, str]]:
    """Report one task of each batch, each round at the barrier; return begin, end and the state answered."""
    services, barrier = services_on(database_url), meeting().barrier
    told = []
    for batch_id, task_id, token in rounds:
        barrier.wait()
        began = time.monotonic()
        verdicts, states = services.batches.report([Report(task_id, token, Outcome.COMPLETED, stories.RESULT)])
        told.append((began, time.monotonic(), str(states[batch_id])))
        assert verdicts[0].refusal is None
    return told


@pytest.mark.soak
def test_two_processes_complete_a_batch_once(services: Services, database_url: str) -> None:
    """Contract 5: before the last report of a phase is answered the state has changed: exactly once."""
    rounds = ROUNDS[services.engine.dialect.name]
    template = stories.analyzing(services, 2)
    assert len(stories.lease(services, template)) == 2
    copies(services, template, rounds - 1)

    told = race(report_all, [(database_url, tasks) for tasks in rounds_of(services)])

    both = list(zip(*told, strict=True))
    assert len(both) == rounds
    # One of the two answers has the final state, so it was reached before the later answer; no sweeper runs here.
    # And enough rounds were races, not one report after the other.
    assert all(BatchState.COMPLETED in (a[2], b[2]) for a, b in both)
    least = rounds * LEAST_OVERLAPPING[services.engine.dialect.name]
    assert sum(max(a[0], b[0]) < min(a[1], b[1]) for a, b in both) > least
    with db.reading(services.engine) as connection:
        states = Counter(connection.execute(select(Batch.state)).scalars())
        events = connection.execute(
            select(func.count(), func.count(AuditRow.batch_id.distinct())).where(AuditRow.trigger == "tasks_finished")
        ).one()
    assert states == {BatchState.COMPLETED: rounds}
    assert tuple(events) == (rounds, rounds)
