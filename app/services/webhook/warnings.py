"""Warnings: messages about what no transaction changes: a limit that is near, and a worker that is not heard of.

Each has an id that follows from what it warns of, so that it is made once, however often it is looked for.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, func, or_, select

from app import db
from app.db import reading, transaction
from app.domain import transitions
from app.domain.leases import TaskKind
from app.domain.money import cost
from app.domain.times import rfc3339
from app.domain.webhook.message_types import MessageType
from app.models import Batch, TaskCounts, WorkerSighting
from app.services.connection.present_workers import PRESENT
from app.services.message import messages
from app.services.message.messages import Message
from app.services.message.subscribers import Subscriber, subscribed_to, subscribers

NEAR = 0.8  # the share of a limit from which on it is near
LOOKED_BACK = timedelta(hours=1)  # for workers that were seen last: a leader may have been away
MOST_BATCHES, MOST_WORKERS = 1_000, 1_000

_batches, _counts, _seen = db.table_of(Batch), db.table_of(TaskCounts), db.table_of(WorkerSighting)
_used_cost = func.sum(_counts.c.cost_nanos)
_used_tokens = func.sum(_counts.c.input_tokens + _counts.c.output_tokens)
_NEAR = (
    select(
        _batches.c.id, _batches.c.name, _batches.c.run, _batches.c.max_cost_nanos, _batches.c.max_tokens,
        _used_cost.label("cost_nanos"), _used_tokens.label("tokens"),
    )
    .join(_counts, and_(_counts.c.batch_id == _batches.c.id, _counts.c.run == _batches.c.run))
    .where(
        _batches.c.state.in_(sorted(transitions.REPORTS_IN[TaskKind.ANALYZE])),
        _batches.c.archived_at.is_(None),
        or_(_batches.c.max_cost_nanos.is_not(None), _batches.c.max_tokens.is_not(None)),
    )
    .group_by(_batches.c.id)
    .having(or_(_used_cost >= _batches.c.max_cost_nanos * NEAR, _used_tokens >= _batches.c.max_tokens * NEAR))
    .order_by(_batches.c.id)
    .limit(MOST_BATCHES)
)  # fmt: skip
_SILENT = (
    select(_seen.c.worker, _seen.c.last_seen_at)
    .where(
        _seen.c.last_seen_at >= bindparam("since", type_=db.UtcTime),
        _seen.c.last_seen_at < bindparam("until", type_=db.UtcTime),
    )
    .order_by(_seen.c.last_seen_at.desc())
    .limit(MOST_WORKERS)
)


def warn(engine: Engine) -> None:
    """Make the messages of all limits that are near and of all workers that are silent, if they are new."""
    with reading(engine) as connection:
        found = subscribers(connection)
        warnings = [*_limits(connection, found), *_workers(connection, found)]
    if warnings:
        with transaction(engine) as connection:
            messages.write(connection, warnings)


def _limits(connection: Connection, found: Sequence[Subscriber]) -> Iterator[Message]:
    if not (subscribed := subscribed_to(found, MessageType.LIMIT_NEAR)):
        return
    now = db.now(connection)
    for row in connection.execute(_NEAR):
        for limit, used, allowed in _figures(row):
            data = {"batch_id": row.id, "name": row.name, "run": row.run, "limit": limit}
            data |= {"used": used, "allowed": allowed}
            message_id = f"msg_{row.id}_limit_{row.run}_{_digest(limit, allowed)}"
            body = messages.standard_body(MessageType.LIMIT_NEAR, now, data)
            for each in subscribed:
                yield Message(each.id, message_id, MessageType.LIMIT_NEAR, body, row.id)


def _figures(row: Any) -> Iterator[tuple[str, float | None, float | None]]:
    if row.max_cost_nanos is not None and row.cost_nanos >= row.max_cost_nanos * NEAR:
        yield "max_cost", cost(int(row.cost_nanos)), cost(row.max_cost_nanos)
    if row.max_tokens is not None and row.tokens >= row.max_tokens * NEAR:
        yield "max_tokens", int(row.tokens), row.max_tokens


def _workers(connection: Connection, found: Sequence[Subscriber]) -> Iterator[Message]:
    if not (subscribed := subscribed_to(found, MessageType.WORKER_SILENT)):
        return
    now = db.now(connection)
    for row in connection.execute(_SILENT, {"since": now - LOOKED_BACK, "until": now - PRESENT}):
        message_id = f"msg_worker_{_digest(row.worker, rfc3339(row.last_seen_at))}"
        data = {"worker": row.worker, "last_seen_at": rfc3339(row.last_seen_at)}
        body = messages.standard_body(MessageType.WORKER_SILENT, now, data)
        for each in subscribed:
            if _was_there(each, row.last_seen_at):
                yield Message(each.id, message_id, MessageType.WORKER_SILENT, body)


def _was_there(subscriber: Subscriber, last_seen_at: datetime) -> bool:
    """Whether a webhook was there when a worker became silent: it gets no message about earlier ones."""
    return last_seen_at + PRESENT >= subscriber.created_at


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]
