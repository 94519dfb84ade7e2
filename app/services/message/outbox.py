"""Makes the messages: from the audit rows of changes, and from notices. The leader calls it at every pass.

1. A change costs nothing here: its audit row, which is written in its transaction, is what the message is made of.
2. `message_places` has the version of each batch up to which messages were made. Versions have no gap and one batch's
   changes commit in their order, so no change is missed, whatever clock, order of commits or restore there was.
3. Messages and the new places are one transaction: after a crash it is done again, and makes the same ids.
4. Which batches have changed is looked up by the times of audit rows, which is fast and finds nearly all; and every
   COMPARE_SECONDS by comparing all versions with the places, which finds every one.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app import db
from app.db import reading, transaction
from app.domain.transitions import Kind
from app.models import AuditRow, Batch, FileBatch, MessagePlace, Notice, Webhook
from app.services.message import messages
from app.services.message.messages import Message
from app.services.message.subscribers import subscribed_to, subscribers

COMPARE_SECONDS = 30.0
RECENT = timedelta(seconds=5)  # of audit rows, by which a pass finds batches that have changed
SLICE = 200  # batches in one transaction
MOST_ROWS = 1_000  # audit rows in one transaction
MOST_SLICES = 25  # in one pass: the leader has other work, too

_places, _notices, _audit, _batches = map(db.table_of, (MessagePlace, Notice, AuditRow, Batch))
_ENABLED = select(Webhook.id).where(Webhook.enabled).limit(1)
_of_batch = _places.c.batch_id == _audit.c.batch_id
_is_new = _audit.c.version > func.coalesce(_places.c.version, 0)
_RECENT = (
    select(_audit.c.batch_id)
    .distinct()
    .outerjoin(_places, _of_batch)
    .where(_audit.c.at >= bindparam("since", type_=db.UtcTime), _is_new)
    .limit(SLICE)
)
_ALL = (
    select(_batches.c.id)
    .outerjoin(_places, _places.c.batch_id == _batches.c.id)
    .where(_batches.c.version > func.coalesce(_places.c.version, 0))
    .order_by(_batches.c.id)
    .limit(SLICE)
)
_CHANGES = (
    select(_audit, _batches.c.name, _batches.c.run, FileBatch.batch_id.is_not(None).label("is_of_file"))
    .add_columns(FileBatch.cancel_wanted)
    .join(_batches, _batches.c.id == _audit.c.batch_id)
    .outerjoin(_places, _of_batch)
    .outerjoin(FileBatch, FileBatch.batch_id == _audit.c.batch_id)
    .where(_audit.c.batch_id.in_(bindparam("batch_ids", expanding=True)), _is_new)
    .order_by(_audit.c.batch_id, _audit.c.version)
    .limit(MOST_ROWS)
)
_OLDEST_NOTICES = select(_notices).order_by(_notices.c.id).limit(SLICE)


class Outbox:
    """Makes the messages of a database; it remembers when this process last compared all versions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._compared_at: float | None = None

    def make(self) -> int:
        """Make the messages of all that happened since the last pass; return of how many changes and notices."""
        made = self._of_notices()
        for _ in range(MOST_SLICES):
            if not (found := self._changed()):
                break
            made += self._of_changes(found)
        return made

    def _changed(self) -> Sequence[int]:
        with reading(self._engine) as connection:
            if connection.execute(_ENABLED).first() is None:
                return ()
            if self._compared_at is None or time.monotonic() - self._compared_at > COMPARE_SECONDS:
                found: Sequence[int] = connection.execute(_ALL).scalars().all()
                if found:
                    return found
                self._compared_at = time.monotonic()
            since = db.now(connection) - RECENT
            return connection.execute(_RECENT, {"since": since}).scalars().all()

    def _of_changes(self, batch_ids: Sequence[int]) -> int:
        with transaction(self._engine) as connection:
            # The webhooks are read after the changes: one that was created before a change gets a message about it.
            changes: Sequence[Any] = connection.execute(_CHANGES, {"batch_ids": batch_ids}).all()
            found = subscribers(connection)
            of_state = [row for row in changes if row.kind != Kind.EDIT]
            messages.write(connection, [each for row in of_state for each in messages.of_change(row, found)])
            _advance(connection, {row.batch_id: row.version for row in changes})
        return len(changes)

    def _of_notices(self) -> int:
        with reading(self._engine) as connection:
            if connection.execute(_OLDEST_NOTICES.limit(1)).first() is None:
                return 0
        with transaction(self._engine) as connection:
            rows = connection.execute(_OLDEST_NOTICES.with_for_update(skip_locked=True)).all()
            found = subscribers(connection)
            made = [
                Message(each.id, row.message_id, row.type, messages.standard_body(row.type, row.at, row.data))
                for row in rows
                for each in subscribed_to(found, row.type)
            ]
            messages.write(connection, made)
            connection.execute(delete(_notices).where(_notices.c.id.in_([row.id for row in rows])))
        return len(rows)


def begin_now(connection: Connection) -> None:
    """Make messages of the changes from now on only: no webhook was enabled until now."""
    connection.execute(delete(_places))
    connection.execute(insert(_places).from_select(["batch_id", "version"], select(_batches.c.id, _batches.c.version)))


def _advance(connection: Connection, versions: dict[int, int]) -> None:
    if not versions:
        return
    make = postgresql_insert if db.is_postgresql(connection) else sqlite_insert
    statement = make(_places)
    forward = and_(_places.c.batch_id == statement.excluded.batch_id, _places.c.version < statement.excluded.version)
    upsert = statement.on_conflict_do_update(
        index_elements=["batch_id"], set_={"version": statement.excluded.version}, where=forward
    )
    rows = [{"batch_id": batch_id, "version": version} for batch_id, version in sorted(versions.items())]
    connection.execute(upsert, rows)
