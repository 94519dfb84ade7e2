"""The statements of a lease: which batches have work, and the tasks of one target of a batch that a worker gets.

The WHERE of the write that leases tasks names their batch's state. The workers' lock, which is shared here and which
every change of state takes alone, prevents that a lease is committed after a pause.
"""

import secrets
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, text

from app import db
from app.domain.connection.abilities import Target
from app.domain.lease_tokens import entry_sql, token_sql
from app.domain.leases import TaskKind, TaskStatus
from app.domain.transitions import LEASES_IN
from app.prepared_statements import Prepared
from app.services.connection import targets
from app.services.queue.positions import HEAD, Position
from app.services.task.task_counts import CountChanges, Run

# (state, kind): which kind of task is leased in which state, for SQL.
_LEASABLE = ", ".join(f"('{state}', '{kind}')" for kind, states in LEASES_IN.items() for state in sorted(states))

_TRY_SHARE = Prepared(
    "try_share",
    text("""
    SELECT id, pg_try_advisory_xact_lock_shared(id) AS is_shared, clock_timestamp() AS now
    FROM unnest(CAST(:ids AS bigint[])) AS id ORDER BY id
"""),
)
_START_LEASE = f"""
WITH leasable (state, kind) AS (VALUES {_LEASABLE})
UPDATE tasks SET status = '{TaskStatus.LEASED}', attempt = attempt + 1, lease_expires_at = :expires_at,
    leased_by = :worker,
    past_leases = CASE WHEN lease_token IS NULL THEN past_leases
        ELSE past_leases || {entry_sql("lease_token", "lease_outcome", "lease_answer")} END,
    lease_token = {token_sql(":nonce", "id", "(attempt + 1)")}, lease_outcome = NULL, lease_answer = NULL
"""
_NEXT_TASKS = f"""
    SELECT t.id FROM tasks t WHERE t.batch_id = :batch_id AND t.run = :run AND t.kind = :kind
        AND t.target = :target AND t.status = '{TaskStatus.QUEUED}' AND t.available_at <= :now
        AND (t.available_at, t.id) > (:after_at, :after_id)
        AND (SELECT 1 FROM batches b JOIN leasable l ON l.state = b.state AND l.kind = :kind
             WHERE b.id = :batch_id AND b.run = :run) IS NOT NULL
    ORDER BY t.available_at, t.id LIMIT :amount
"""
_LEASED = """
id, batch_id, run, kind, attempt, lease_token, document_id, staging_task_id, prompt_number, model_number, ready_number,
part, parts,
available_at
"""


def _timed(sql: str) -> TextClause:
    return text(sql).bindparams(*(bindparam(name, type_=db.UtcTime) for name in ("now", "expires_at", "after_at")))


# ARRAY(...) is computed once; the planner may run an IN (SELECT ... LIMIT) once for every row. The tasks found are
# locked and still QUEUED: with that condition outside too, a planner without statistics reads the whole queue.
_LEASE_POSTGRESQL = Prepared(
    "lease",
    _timed(f"{_START_LEASE} WHERE id = ANY (ARRAY({_NEXT_TASKS} FOR UPDATE SKIP LOCKED)) RETURNING {_LEASED}"),
    by_index=True,
)
_LEASE_SQLITE = _timed(
    f"{_START_LEASE} WHERE status = '{TaskStatus.QUEUED}' AND id IN ({_NEXT_TASKS}) RETURNING {_LEASED}"
).columns(available_at=db.UtcTime)


@dataclass(frozen=True)
class Candidate:
    """A batch with tasks to lease: its present run, the kind of those tasks, and what they need of a worker."""

    batch_id: int
    run: int
    priority: int
    lease_seconds: int
    kind: TaskKind
    targets: Mapping[int, Target]  # by their numbers
    limits_cost: bool = False

    @property
    def run_key(self) -> Run:
        """The run and kind under which its tasks are counted."""
        return self.batch_id, self.run, self.kind

    def only(self, numbers: Container[int]) -> "Candidate":
        """The same batch with some of its targets."""
        return replace(self, targets={number: each for number, each in self.targets.items() if number in numbers})


def candidates(connection: Connection, now: datetime, batch_id: int | None = None) -> list[Candidate]:
    """List the batches that have a task to lease now; with `batch_id`, that batch if it has one."""
    found = targets.leasable(connection, now, batch_id)
    return [
        Candidate(
            batch_id,
            run,
            priority,
            seconds,
            kind,
            {each.number: each.target for each in of_batch},
            limits_cost=max_cost is not None,
        )
        for (batch_id, run, priority, seconds, max_cost, kind), of_batch in groupby(found, key=lambda each: each[:6])
    ]


def share_locks(connection: Connection, batch_ids: Sequence[int]) -> tuple[set[int], datetime]:
    """Share the workers' lock of these batches; return those whose lock was free, and the database's clock.

    The lock of a batch is not free while an action changes its state.
    """
    if not db.is_postgresql(connection):
        return set(batch_ids), db.now(connection)
    rows = _TRY_SHARE.rows(connection, ids=list(batch_ids))
    return {row.id for row in rows if row.is_shared}, rows[-1].now


@dataclass(frozen=True)
class Terms:
    """What all leases of a request from one batch have in common. They are counted in `counts`."""

    worker: str
    now: datetime
    expires_at: datetime
    counts: CountChanges


def lease(
    connection: Connection,
    candidate: Candidate,
    target: int,
    amount: int,
    terms: Terms,
    after: Position = HEAD,
) -> list[Any]:
    """Lease up to `amount` tasks of a target that lie behind a position, the longest available first; return them."""
    values = {
        "now": terms.now,
        "expires_at": terms.expires_at,
        "worker": terms.worker,
        "nonce": secrets.token_urlsafe(9),
        "batch_id": candidate.batch_id,
        "run": candidate.run,
        "kind": candidate.kind,
        "target": target,
        "after_at": after[0],
        "after_id": after[1],
        "amount": amount,
    }
    if db.is_postgresql(connection):
        leased = list(_LEASE_POSTGRESQL.rows(connection, **values))
    else:
        leased = list(connection.execute(_LEASE_SQLITE, values))
    if leased:
        terms.counts.move(candidate.run_key, TaskStatus.QUEUED, TaskStatus.LEASED, len(leased))
    return leased
