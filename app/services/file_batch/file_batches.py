"""Batches that are made of a file, as callers see them: one, a page of them; and the actions that OpenAI's API has."""

from collections import namedtuple
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, case, or_, select, update

from app import db, portions
from app.db import reading, transaction
from app.domain import failures
from app.domain.answer.token_sums import usage_of
from app.domain.facts import Facts
from app.domain.file.batches import BATCH, Status, number_of, status_of, window_seconds
from app.domain.times import rfc3339
from app.domain.transitions import ENDS_OF_RUN, REPORTS_IN
from app.errors import NotFound
from app.models import AuditRow, Batch, FileBatch
from app.services.batch.batch_rows import SEEN, BatchRecord, RunCounts, facts_of
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Answer, Order
from app.services.file_batch import creation
from app.services.file_batch.answers_so_far import answers_so_far
from app.services.file_batch.creation import NewFileBatch

_file_batches, _batches, _audit = db.table_of(FileBatch), db.table_of(Batch), db.table_of(AuditRow)
_BESIDE = [*_file_batches.c, _audit.c.reason]
BatchBeside = namedtuple("BatchBeside", [column.name for column in _BESIDE])  # type: ignore[misc]
# A batch and what it has beside its row, of one snapshot: a status follows from both.
_SHOWN: Any = (
    SEEN.add_columns(*(column.label(f"beside_{column.name}") for column in _BESIDE))
    .join(_file_batches, _file_batches.c.batch_id == Batch.id)
    .join(_audit, and_(_audit.c.batch_id == Batch.id, _audit.c.version == Batch.version))
    .where(_file_batches.c.batch_id.in_(bindparam("numbers", expanding=True)))
    .group_by(_file_batches.c.batch_id, _audit.c.batch_id, _audit.c.version)
)
_SIZED = (
    select(_file_batches.c.batch_id, portions.size_of(_file_batches.c.errors))
    .join(_batches, _batches.c.id == _file_batches.c.batch_id)
    .where(_batches.c.archived_at.is_(None))
    .order_by(_file_batches.c.batch_id.desc())
)


@dataclass(frozen=True)
class ShownFileBatch:
    """A batch, its counted facts, what it has beside its row, and the reason of its last change."""

    batch: BatchRecord
    facts: Facts
    row: Any

    @property
    def is_settled(self) -> bool:
        """Whether the files of the present run are made."""
        return self.row.settled_at is not None and self.row.settled_run == self.batch.run

    @property
    def cancel_is_wanted(self) -> bool:
        """Whether the present run is to be cancelled; it may end by itself before that is decided."""
        is_of_this_run = self.row.settled_at is None or self.is_settled
        return bool(self.row.cancel_wanted) and is_of_this_run

    @property
    def status(self) -> Status:
        batch, open_tasks = self.batch, self.facts.analysis.open
        return status_of(batch.state, batch.failure_code, self.is_settled, open_tasks, self.cancel_is_wanted)

    @property
    def has_run(self) -> bool:
        """Whether the lines of the present run were given to workers."""
        return self.batch.started_at is not None

    @property
    def usage(self) -> dict[str, Any]:
        if self.is_settled and self.row.usage is not None:
            return dict(self.row.usage)
        return usage_of(self.facts.usage.input_tokens, self.facts.usage.output_tokens)

    @property
    def errors(self) -> list[dict[str, Any]] | None:
        """Why the batch is failed: the bad lines, or the failure of the run."""
        if self.status is not Status.FAILED:
            return None
        if self.batch.failure_code == failures.INVALID_INPUT and self.row.errors:
            return list(self.row.errors)
        failure = {"code": self.batch.failure_code, "message": self.batch.failure_message}
        return [{**failure, "line": None, "param": None}]


class FileBatches:
    """Creates, reads and changes batches that are made of a file."""

    def __init__(self, engine: Engine, batches: BatchService) -> None:
        self._engine = engine
        self._batches = batches

    def create(self, new: NewFileBatch, order: Order) -> ShownFileBatch:
        """Create a batch, or find the one that a repeated call has made."""
        return self._one(creation.create(self._batches, new, order))

    def show(self, ident: str) -> ShownFileBatch:
        """Show a batch by its id, such as `batch_7`. Raises NotFound."""
        return self._one(number_of(ident))

    def page(self, limit: int, after: int = 0) -> tuple[list[ShownFileBatch], bool]:
        """Give a page of batches, newest first, after the number `after` (0: all); and whether there are more.

        A page with many errors has fewer batches than `limit`.
        """
        statement = _SIZED.limit(limit + 1)
        if after:
            statement = statement.where(_file_batches.c.batch_id < after)
        with reading(self._engine) as connection:
            sized: Any = connection.execute(statement).all()
            page = next(portions.divide(sized[:limit], lambda row: int(row.size)), [])
            return _shown(connection, [row.batch_id for row in page]), len(sized) > len(page)

    def answers_so_far(self, shown: ShownFileBatch) -> Iterator[bytes]:
        """Walk over the lines that are answered, as an output file has them."""
        return answers_so_far(self._engine, shown.batch)

    def cancel(self, ident: str, order: Order) -> ShownFileBatch:
        """Cancel a batch, or keep the wish until it can be cancelled; a batch that has ended stays as it is.

        Raises NotFound.
        """
        shown = self.show(ident)
        if shown.batch.state in ENDS_OF_RUN or shown.cancel_is_wanted:
            return shown
        answer: Answer = {"success": None}
        if shown.batch.state in REPORTS_IN["ANALYZE"]:
            answer = self._batches.decide(shown.batch.id, "cancel", order)
        if answer["success"]:
            self._note_cancel(shown.batch, order, wanted=False)
        elif answer["success"] is None:
            self._note_cancel(shown.batch, order, wanted=True)
        return self._one(shown.batch.id)

    def act(self, ident: str, action: str, order: Order) -> tuple[Answer, ShownFileBatch]:
        """Request an action on a batch; return the answer and the batch. Raises NotFound."""
        number = self.show(ident).batch.id
        return self._batches.decide(number, action, order), self._one(number)

    def retry(self, ident: str, order: Order) -> tuple[Answer, ShownFileBatch]:
        """Begin a new run for the lines that have no answer; it has a whole window again. Raises NotFound, Locked."""
        shown = self.show(ident)
        window = timedelta(seconds=window_seconds(shown.row.completion_window) or 0)
        with self._batches.deciding(order) as decision:
            locked = decision.lock(shown.batch.id)
            context = {"deadline_at": rfc3339(locked.now + window), **order.context}
            answer = locked.answer("restage", replace(order, context=context))
            if answer["success"]:
                mine = update(_file_batches).where(_file_batches.c.batch_id == shown.batch.id)
                again = {"run_wanted": True, "actor": order.actor, "role": order.role, "request_id": order.request_id}
                none = {"cancel_wanted": False, "cancelled_at": None, "settled_at": None, "errors": None}
                decision.connection.execute(mine.values({**again, **none}))
        return answer, self._one(shown.batch.id)

    def _note_cancel(self, batch: BatchRecord, order: Order, wanted: bool) -> None:
        """Keep who cancelled the present run, once; what is known of an earlier run is replaced."""
        who = {"cancel_actor": order.actor, "cancel_role": order.role, "cancel_request_id": order.request_id}
        is_of_earlier_run = and_(_file_batches.c.settled_at.is_not(None), _file_batches.c.settled_run < batch.run)
        mine = update(_file_batches).where(
            _file_batches.c.batch_id == batch.id, or_(_file_batches.c.cancelled_at.is_(None), is_of_earlier_run)
        )
        with transaction(self._engine) as connection:
            now = db.now(connection)
            settled_at = case((is_of_earlier_run, None), else_=_file_batches.c.settled_at)
            values = {**who, "cancel_wanted": wanted, "cancelled_at": now, "settled_at": settled_at}
            connection.execute(mine.values(values))

    def _one(self, number: int) -> ShownFileBatch:
        with reading(self._engine) as connection:
            found = _shown(connection, [number])
        if not found:
            raise NotFound("batch", f"{BATCH}{number}")
        return found[0]


def _shown(connection: Connection, numbers: Sequence[int]) -> list[ShownFileBatch]:
    rows = connection.execute(_SHOWN, {"numbers": numbers}).all() if numbers else []
    now = db.now(connection)
    return [_one_shown(row, now) for row in rows]


def _one_shown(row: Any, now: datetime) -> ShownFileBatch:
    batch = BatchRecord.of(row)
    beside = BatchBeside(*row[len(SEEN.selected_columns) :])
    return ShownFileBatch(batch, facts_of(batch, RunCounts.of(row), now), beside)
