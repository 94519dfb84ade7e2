"""What the service does for a batch that is made of a file, step by step: read it, run it, cancel it, make its files.

Which step is due follows from what the database holds, so a crash between two steps loses none.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, func, or_, select, update

from app import db
from app.db import reading, transaction
from app.domain.transitions import BEGINS_RUN, BY_TRIGGER, ENDS_OF_RUN
from app.models import Batch, File, FileBatch
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Order

RUN, CANCEL = BY_TRIGGER["run"], BY_TRIGGER["cancel"]
LARGE_LINES, LARGE_BYTES = 50_000, 64 * 1024 * 1024  # OpenAI's API has no more lines in a batch
_file_batches, _batches, _files = db.table_of(FileBatch), db.table_of(Batch), db.table_of(File)


class Step(StrEnum):
    READ = "read"  # the lines of the file
    ADVANCE = "advance"  # request `run` or `cancel`
    SETTLE = "settle"  # make the output and error files


_is_unread = and_(
    _batches.c.state.in_(sorted(BEGINS_RUN)), _batches.c.ready_task_count + _batches.c.bad_line_count == 0
)
_wants = or_(
    and_(_file_batches.c.run_wanted, _batches.c.state.in_(sorted(RUN.sources))),
    and_(_file_batches.c.cancel_wanted, _batches.c.state.in_(sorted(CANCEL.sources))),
)
_has_ended = _batches.c.state.in_(sorted(ENDS_OF_RUN))
_DUE = (
    select(
        _file_batches.c.batch_id,
        case((_is_unread, Step.READ), (_has_ended, Step.SETTLE), else_=Step.ADVANCE).label("step"),
        or_(_batches.c.ready_task_count > LARGE_LINES, func.coalesce(_files.c.size_bytes, 0) > LARGE_BYTES),
    )
    .join(_batches, _batches.c.id == _file_batches.c.batch_id)
    .outerjoin(_files, _files.c.id == _file_batches.c.file_id)
    .where(_file_batches.c.settled_at.is_(None), _batches.c.archived_at.is_(None), or_(_is_unread, _wants, _has_ended))
    .order_by(_file_batches.c.batch_id)
)
_newer_run = select(_batches.c.id).where(
    _batches.c.id == _file_batches.c.batch_id, _batches.c.run > _file_batches.c.settled_run
)
_is_outdated = (_file_batches.c.settled_at.is_not(None), _newer_run.exists())
_OUTDATED = select(_file_batches.c.batch_id).where(*_is_outdated).limit(1)
_REOPEN = update(_file_batches).where(*_is_outdated).values(settled_at=None, cancel_wanted=False, cancelled_at=None)


@dataclass(frozen=True)
class DueStep:
    """A step, and the batch that it is for. It may take minutes if the batch is large."""

    batch_id: int
    step: Step
    is_large: bool


def due(connection: Connection) -> list[DueStep]:
    """List the steps that are due, oldest batch first."""
    rows: Any = connection.execute(_DUE)
    return [DueStep(batch_id, Step(step), bool(is_large)) for batch_id, step, is_large in rows]


def reopen(engine: Engine) -> None:
    """Look again at the batches that an operator has staged again: their new run has no files yet."""
    with reading(engine) as connection:
        if connection.execute(_OUTDATED).first() is None:
            return
    with transaction(engine) as connection:
        connection.execute(_REOPEN)


def advance(batches: BatchService, batch_id: int) -> None:
    """Request what was wanted and is possible now; `cancel` before any line is leased, if both are wanted."""
    with batches.deciding(Order()) as decision:
        locked = decision.lock_if_free(batch_id)
        if locked is None:
            return
        decision.bring_up_to_date(locked)
        mine = _file_batches.c.batch_id == batch_id
        wanted = decision.connection.execute(select(_file_batches).where(mine).with_for_update()).one()
        if wanted.run_wanted and locked.batch.state in RUN.sources:
            # Where `cancel` follows, the run has no time to end by itself: all its answers may be reused ones.
            order = Order(wanted.actor, wanted.role, wanted.request_id)
            locked.answer("run", order, raise_events=not wanted.cancel_wanted)
            decision.connection.execute(update(_file_batches).where(mine).values(run_wanted=False))
        if wanted.cancel_wanted and locked.batch.state in CANCEL.sources:
            locked.answer("cancel", Order(wanted.cancel_actor, wanted.cancel_role, wanted.cancel_request_id))
