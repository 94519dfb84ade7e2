"""Purges archived batches: all content of a batch goes; its row, its counts and its audit trail stay.

An audit row of the batch records each purge, with the SHA-256 of what the trail speaks of. The rows themselves are
deleted afterwards, by app.services.upkeep.deletions.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, Engine, bindparam, cast, func, select

from app import db
from app.db import reading
from app.domain.roles import SYSTEM
from app.domain.transitions import PURGE
from app.models import AuditRow, Batch, Document, Prompt, ReadyTask, TaskCounts
from app.services.access import idempotency
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Order
from app.services.upkeep import deletions

ACTOR = f"{SYSTEM}:purge"
_PAGE = 10_000

_batches = db.table_of(Batch)
_documents = db.table_of(Document)
_ready = db.table_of(ReadyTask)
_counts = db.table_of(TaskCounts)
_of: Any = bindparam("of_batch")
_amount = func.sum(_counts.c.queued + _counts.c.leased + _counts.c.completed + _counts.c.failed)
_tasks = (
    select(cast(func.coalesce(_amount, 0), BigInteger)).where(_counts.c.batch_id == _batches.c.id).scalar_subquery()
)
_ARCHIVED = (
    select(*(_batches.c[name] for name in ("id", "name", "archived_at", "document_count", "ready_task_count")), _tasks)
    .where(_batches.c.archived_at <= bindparam("before", type_=db.UtcTime), _batches.c.purged_at.is_(None))
    .order_by(_batches.c.id)
)
# Pages in the order of the index (batch, run, content); the batch's own documents have no run.
_CONTENTS = (
    select(_documents.c.sha256)
    .distinct()
    .where(_documents.c.batch_id == _of, _documents.c.sha256 > bindparam("after"))
    .order_by(_documents.c.sha256)
    .limit(_PAGE)
)
_OWN = _CONTENTS.where(_documents.c.run.is_(None))
_FOUND = _CONTENTS.where(_documents.c.run == bindparam("of_run"))
_LINES = (
    select(_ready.c.number, _ready.c.content_key)
    .where(_ready.c.batch_id == _of, _ready.c.number > bindparam("after"), _ready.c.number <= bindparam("last"))
    .order_by(_ready.c.number)
)
_PROMPTS = (
    select(Prompt.name, Prompt.text, Prompt.system, Prompt.schema).where(Prompt.batch_id == _of).order_by(Prompt.number)
)
_CONTEXTS = select(AuditRow.context).where(AuditRow.batch_id == _of, AuditRow.kind == "edit")
_NAMED = select(_documents.c.id, _documents.c.sha256).where(
    _documents.c.batch_id == _of, _documents.c.id.in_(bindparam("ids", expanding=True))
)


@dataclass(frozen=True)
class Purgeable:
    """An archived batch that is not purged."""

    id: int
    name: str
    archived_at: datetime
    documents: int
    ready_tasks: int
    tasks: int


class Purge:
    """Decides purges, on an engine of `app.db.make_engine`."""

    def __init__(self, engine: Engine, batches: BatchService) -> None:
        self._engine = engine
        self._batches = batches

    def due(self, age: timedelta) -> list[Purgeable]:
        """List the batches that were archived at least `age` ago and are not purged, oldest first."""
        with reading(self._engine) as connection:
            rows: Any = connection.execute(_ARCHIVED, {"before": db.now(connection) - age})
            return [Purgeable(*row) for row in rows]

    def begin(self, batch_id: int, order: Order | None = None) -> bool:
        """Write the audit row of a purge, and begin to delete; return whether the batch was archived and not purged.

        From its commit on, nothing of the batch can be read but its audit trail. Raises Locked.
        """
        with reading(self._engine) as connection:
            found = _sums(connection, batch_id)
        order = order or Order(ACTOR, SYSTEM)
        audited = Order(order.actor, order.role, order.request_id, context={**order.context, **found})
        with self._batches.deciding(audited) as decision:
            locked = decision.lock_archived(batch_id)
            if locked is None or locked.batch.purged_at is not None:
                return False
            locked.edit(PURGE, audited, {"purged_at": locked.now})
            deletions.begin(decision.connection, batch_id)
            idempotency.erase_answers(decision.connection, batch_id)
        return True


def _sums(connection: Connection, batch_id: int) -> dict[str, Any]:
    """Sum up the content of a batch, which no longer changes: one SHA-256 of each kind, and of each document named."""
    contents = _Sum(_contents(connection, batch_id))
    lines = _Sum(_content_keys(connection, batch_id))
    prompts = _Sum(
        orjson.dumps(dict(row._mapping), option=orjson.OPT_SORT_KEYS).decode()
        for row in connection.execute(_PROMPTS, {"of_batch": batch_id})
    )
    found = {"documents": contents, "prompts": prompts, "ready_tasks": lines}
    context = {name: {"amount": each.amount, "sha256": each.sha256} for name, each in found.items() if each.amount}
    return {**context, **({"named": named} if (named := _named_documents(connection, batch_id)) else {})}


class _Sum:
    """The SHA-256 of some lines, each with its line feed, and how many they are."""

    def __init__(self, lines: Iterator[str]) -> None:
        digest, self.amount = hashlib.sha256(), 0
        for line in lines:
            digest.update(f"{line}\n".encode("utf-8", "surrogatepass"))
            self.amount += 1
        self.sha256 = digest.hexdigest()


def _contents(connection: Connection, batch_id: int) -> Iterator[str]:
    """Walk the contents of the batch's own documents, sorted, then those that each run found in folders."""
    runs: int = connection.execute(select(Batch.run).where(Batch.id == batch_id)).scalar() or 0
    for statement, run in [(_OWN, 0), *((_FOUND, run) for run in range(1, runs + 1))]:
        after = ""
        values = {"of_batch": batch_id, "of_run": run}
        found: list[str]
        while found := list(connection.execute(statement, {**values, "after": after}).scalars()):
            yield from found
            after = found[-1]


def _content_keys(connection: Connection, batch_id: int) -> Iterator[str]:
    after = 0
    while rows := connection.execute(_LINES, {"of_batch": batch_id, "after": after, "last": after + _PAGE}).all():
        yield from (row.content_key for row in rows)
        after += _PAGE


def _named_documents(connection: Connection, batch_id: int) -> dict[str, str]:
    """Find the documents that the audit trail names by their ids, with the SHA-256 of each."""
    contexts: Any = connection.execute(_CONTEXTS, {"of_batch": batch_id}).scalars()
    ids = {each["document_id"] for each in contexts if isinstance(each.get("document_id"), int)}
    rows = connection.execute(_NAMED, {"of_batch": batch_id, "ids": sorted(ids)}) if ids else ()
    return {str(row.id): row.sha256 for row in rows}
