"""Figures of the service: requests that wait, workers, webhooks, disks, and what is running."""

import platform
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from app import db
from app.metrics import Family, Sample
from app.models import IS_WAITING, StateChangeRequest, Webhook
from app.services.connection.present_workers import present_workers
from app.services.message import deliveries

MOST_WEBHOOKS = 100

_WAITING = select(func.count(), func.min(StateChangeRequest.created_at)).where(IS_WAITING)
_WEBHOOKS = (
    select(Webhook.id, Webhook.failures).where(Webhook.deleted_at.is_(None)).order_by(Webhook.id).limit(MOST_WEBHOOKS)
)


def requests(connection: Connection, now: datetime) -> Iterator[Family]:
    """Count the requests that wait for a locked batch, and say how long the oldest waits."""
    found: Any = connection.execute(_WAITING).one()
    amount, since = found
    age = max(0.0, (now - since).total_seconds()) if since else 0.0
    yield Family("interlock_queued_requests", "Requests that wait for a locked batch", (), [Sample((), float(amount))])
    yield Family("interlock_oldest_queued_request_age_seconds", "Age of the oldest of them", (), [Sample((), age)])


def workers(connection: Connection, silent: int) -> Family:
    """Count the workers that are present, and those that hold leases and are not heard of."""
    samples = [Sample(("present",), float(len(present_workers(connection)))), Sample(("silent",), float(silent))]
    return Family("interlock_workers", "Queue workers", ("state",), samples)


def webhooks(connection: Connection) -> Iterator[Family]:
    """Count for each webhook the messages that wait, and the failed tries since the last one that was taken."""
    rows = connection.execute(_WEBHOOKS).all()
    waiting = deliveries.waiting(connection, [row.id for row in rows])
    pending = [Sample((str(row.id),), float(waiting.get(row.id, 0))) for row in rows]
    failures = [Sample((str(row.id),), float(row.failures)) for row in rows]
    label = ("webhook_id",)
    yield Family("interlock_pending_messages", "Messages that wait to be delivered", label, pending)
    yield Family("interlock_webhook_failures", "Failed tries since the last delivery", label, failures)


def disks(engine: Engine) -> Iterator[Family]:
    """Show the space of the disks that this process writes: of SQLite's file, and of bodies that are being received."""
    paths = {"temporary": Path(tempfile.gettempdir())}
    if engine.dialect.name == "sqlite" and engine.url.database:
        paths["database"] = Path(engine.url.database).parent
    found = {name: shutil.disk_usage(path) for name, path in paths.items() if path.exists()}
    free = [Sample((name,), float(usage.free)) for name, usage in found.items()]
    size = [Sample((name,), float(usage.total)) for name, usage in found.items()]
    yield Family("interlock_disk_free_bytes", "Free space of a disk", ("disk",), free)
    yield Family("interlock_disk_size_bytes", "Size of a disk", ("disk",), size)


def build(engine: Engine, version: str) -> Family:
    """Name what is running."""
    labels = (version, platform.python_version(), engine.dialect.name)
    return Family("interlock_build_info", "What is running", ("version", "python", "database"), [Sample(labels, 1.0)])


def is_up(answers: bool) -> Family:
    """Say whether the database answers."""
    return Family("interlock_database_up", "Whether the database answers", (), [Sample((), float(answers))])


def clock(connection: Connection) -> datetime:
    """Read the clock of the database."""
    return db.now(connection)
