"""The requests that found a batch locked: kept in their order until they are applied, refused or expired.

This module decides nothing: a Decision applies each request in its turn, under the batch's lock.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from app import db
from app.domain.request_status import RequestStatus
from app.errors import Busy
from app.models import StateChangeRequest
from app.services.batch.orders import Answer, Order

LONGEST_QUEUE = 1_000
KEPT = timedelta(days=30)  # after a request was decided or expired
DELETED_AT_ONCE = 1_000
EXPIRED = "The batch stayed locked until the request expired."
_queue = db.table_of(StateChangeRequest)
_WAITING = (
    select(_queue)
    .where(_queue.c.batch_id == bindparam("batch_id"), _queue.c.status == RequestStatus.QUEUED)
    .order_by(_queue.c.seq)
    .with_for_update()  # so that expiry and application cannot both win
)
_POSITION = select(func.count()).where(
    _queue.c.batch_id == bindparam("batch_id"),
    _queue.c.status == RequestStatus.QUEUED,
    _queue.c.seq <= bindparam("last"),
)
_FINISH = (
    update(_queue)
    .where(_queue.c.seq == bindparam("number"), _queue.c.status == RequestStatus.QUEUED)
    .values(
        status=bindparam("outcome"),
        reason=bindparam("why"),
        version=bindparam("at_version"),
        finished_at=bindparam("now"),
    )
)
_EXPIRE = (
    update(_queue)
    .where(_queue.c.status == RequestStatus.QUEUED, _queue.c.expires_at <= bindparam("now"))
    .values(
        status=RequestStatus.EXPIRED,
        reason=EXPIRED,
        finished_at=bindparam("now"),
    )
)
# Only the oldest rows are looked at: there is no index by time, and the oldest requests are finished first.
_oldest = select(_queue.c.seq, _queue.c.finished_at).order_by(_queue.c.seq).limit(DELETED_AT_ONCE).subquery()
_FORGET = delete(_queue).where(
    _queue.c.seq.in_(select(_oldest.c.seq).where(_oldest.c.finished_at < bindparam("before", type_=db.UtcTime)))
)
_BATCHES = select(_queue.c.batch_id).where(_queue.c.status == RequestStatus.QUEUED).distinct()


def enqueue(connection: Connection, batch_id: int, action: str, order: Order, ttl_s: int) -> Answer:
    """Append a request to its batch's queue; answer its id and its position, counted from 1.

    Raises Busy when the queue is full.
    """
    now = db.now(connection)
    row: dict[str, Any] = {
        "id": uuid4().hex,
        "batch_id": batch_id,
        "action": action,
        "context": dict(order.context),
        "actor": order.actor,
        "role": order.role,
        "if_version": order.if_version,
        "status": RequestStatus.QUEUED,
        "created_at": now,
        "expires_at": now + timedelta(seconds=ttl_s),
    }
    last: int = connection.execute(insert(_queue).returning(_queue.c.seq), row).scalar_one()
    position = connection.execute(_POSITION, {"batch_id": batch_id, "last": last}).scalar_one()
    if position > LONGEST_QUEUE:
        raise Busy(f"{LONGEST_QUEUE} requests already wait for this batch.")
    return {
        "success": None,
        "status": RequestStatus.QUEUED,
        "request_id": row["id"],
        "queue_position": position,
        "batch_id": batch_id,
        "action": action,
        "reason": "The batch is locked. The request waits in the queue.",
    }


def waiting(connection: Connection, batch_id: int) -> Iterable[Any]:
    """Lock the queued requests of a batch; return them in their order."""
    return connection.execute(_WAITING, {"batch_id": batch_id}).all()


def finish(
    connection: Connection, seq: int, status: str, reason: str | None, version: int | None, now: datetime
) -> None:
    """Record the outcome of a queued request."""
    values = {"number": seq, "outcome": status, "why": reason, "at_version": version, "now": now}
    connection.execute(_FINISH, values)


def expire(connection: Connection) -> int:
    """Expire the requests that are due, whether or not their batch is locked; return how many."""
    return connection.execute(_EXPIRE, {"now": db.now(connection)}).rowcount


def forget_old(connection: Connection) -> int:
    """Delete a slice of the requests that were decided or expired 30 days ago; return how many."""
    return connection.execute(_FORGET, {"before": db.now(connection) - KEPT}).rowcount


def batches_with_requests(connection: Connection) -> list[int]:
    """List the batches for which requests wait."""
    return list(connection.execute(_BATCHES).scalars())
