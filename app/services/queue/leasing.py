"""The statements of a lease: which batches have work, whose turn it is, and the tasks taken for a worker.

A batch's state stands in the WHERE of the write that leases its tasks; the workers' lock, shared here and taken
alone by every change of state, sees to it that no lease is committed after a pause.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, text

from app import db
from app.domain.leases import TaskKind
from app.domain.transitions import LEASES_IN

# (state, kind): which kind of task is leased in which state, for SQL.
_LEASABLE = ", ".join(f"('{state}', '{kind}')" for kind, states in LEASES_IN.items() for state in sorted(states))

# LIMIT 1 and not EXISTS: among 1,000 batches the planner answers this one from the index.
_WITH_WORK = f"""
WITH leasable (state, kind) AS (VALUES {_LEASABLE})
SELECT b.id, b.run, b.priority, b.lease_seconds, l.kind FROM batches b JOIN leasable l ON l.state = b.state
WHERE (SELECT t.id FROM tasks t WHERE t.batch_id = b.id AND t.run = b.run AND t.kind = l.kind
       AND t.status = 'QUEUED' AND t.available_at <= :now ORDER BY t.available_at, t.id LIMIT 1) IS NOT NULL
"""
_TRY_SHARE = text(
    "SELECT id, pg_try_advisory_xact_lock_shared(id) FROM unnest(CAST(:ids AS bigint[])) AS id ORDER BY id"
)
_LEASE = f"""
WITH leasable (state, kind) AS (VALUES {_LEASABLE})
UPDATE tasks SET status = 'LEASED', attempt = attempt + 1, lease_expires_at = :expires_at, leased_by = :worker,
    past_leases = CASE WHEN lease_token IS NULL THEN past_leases ELSE past_leases || lease_token || ':'
        || coalesce(lease_outcome, '') || ':' || coalesce(lease_answer, '') || ' ' END,
    lease_token = :nonce || '.' || id || '.' || (attempt + 1), lease_outcome = NULL, lease_answer = NULL
WHERE {{still}} id {{one_of}} (
    SELECT t.id FROM tasks t WHERE t.batch_id = :batch_id AND t.run = :run AND t.kind = :kind
        AND t.status = 'QUEUED' AND t.available_at <= :now
        AND (SELECT 1 FROM batches b JOIN leasable l ON l.state = b.state AND l.kind = :kind
             WHERE b.id = :batch_id AND b.run = :run) IS NOT NULL
    ORDER BY t.available_at, t.id LIMIT :amount {{lock}}{{close}}
RETURNING id, batch_id, run, kind, attempt, lease_token, document_id, staging_task_id, prompt_number,
    model_number, ready_number
"""


def _timed(sql: str, *names: str) -> TextClause:
    return text(sql).bindparams(*(bindparam(name, type_=db.UtcTime) for name in names))


_WITH_WORK_ANY = _timed(_WITH_WORK, "now")
_WITH_WORK_ONE = _timed(_WITH_WORK + " AND b.id = :batch_id", "now")
# ARRAY(...) is read once; the planner may run an IN (SELECT ... LIMIT) once for every row. The rows it finds are
# locked and still QUEUED: to say so again outside makes a planner without statistics read the whole queue.
_LEASE_POSTGRESQL = _timed(
    _LEASE.format(still="", one_of="= ANY", lock="FOR UPDATE SKIP LOCKED", close="))").replace("ANY (", "ANY (ARRAY("),
    "now",
    "expires_at",
)
_LEASE_SQLITE = _timed(
    _LEASE.format(still="status = 'QUEUED' AND", one_of="IN", lock="", close=")"), "now", "expires_at"
)


@dataclass(frozen=True)
class Candidate:
    """A batch with work to lease, its present run, and the kind of work."""

    batch_id: int
    run: int
    priority: int
    lease_seconds: int
    kind: TaskKind


def candidates(connection: Connection, now: datetime, batch_id: int | None = None) -> list[Candidate]:
    """List the batches that have a task to lease now (or say whether this one has)."""
    if batch_id is None:
        rows = connection.execute(_WITH_WORK_ANY, {"now": now})
    else:
        rows = connection.execute(_WITH_WORK_ONE, {"now": now, "batch_id": batch_id})
    return [Candidate(row.id, row.run, row.priority, row.lease_seconds, TaskKind(row.kind)) for row in rows]


def share_locks(connection: Connection, batch_ids: Sequence[int]) -> set[int]:
    """Share the workers' lock of these batches; return those about which nothing is being decided."""
    if not db.is_postgresql(connection):
        return set(batch_ids)
    return {row[0] for row in connection.execute(_TRY_SHARE, {"ids": list(batch_ids)}) if row[1]}


def take(
    connection: Connection, candidate: Candidate, amount: int, worker: str, now: datetime, expires_at: datetime
) -> list[Any]:
    """Lease up to `amount` tasks of a batch until `expires_at`, the longest available first; return them by id."""
    statement = _LEASE_POSTGRESQL if db.is_postgresql(connection) else _LEASE_SQLITE
    values = {
        "now": now,
        "expires_at": expires_at,
        "worker": worker,
        "nonce": secrets.token_urlsafe(9).replace(".", "-"),
        "batch_id": candidate.batch_id,
        "run": candidate.run,
        "kind": candidate.kind,
        "amount": amount,
    }
    return sorted(connection.execute(statement, values), key=lambda row: int(row.id))
