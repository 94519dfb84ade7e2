"""The command `purge`: decides which archived batches are purged, deletes slice by slice, and shows how far it is."""

import getpass
import time
from contextlib import suppress
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from app.domain.roles import Role
from app.errors import Busy
from app.server.sqlite_file import path_of
from app.server.sqlite_file import rewrite as rewrite_file
from app.services import Services
from app.services.batch.orders import Order
from app.services.upkeep import space
from app.services.upkeep.deletions import Deletions
from app.services.upkeep.pace import pause_after
from app.services.upkeep.purge import Purgeable

BUSY_SECONDS = 0.02  # when others hold what is to be deleted
NOT_GIVEN_BACK = (
    "The file keeps its size, and its free pages are used again: this database is older than incremental vacuum. "
    "Stop the service and use `purge --rewrite` once to give them back."
)


def purge_batches(
    services: Services, console: Console, age: timedelta, batch_id: int | None, *, dry_run: bool, rewrite: bool
) -> None:
    """Purge the batches that were archived at least `age` ago, or one of them. Raises NotPossible."""
    due = [batch for batch in services.purge.due(age) if batch_id in (None, batch.id)]
    if dry_run:
        for batch in due:
            console.print(f"Would delete {_what(batch)}.", highlight=False)
        console.print(f"{len(due)} batches. Nothing was deleted.", highlight=False)
        return
    purged = _purge(services, console, due)
    _give_back(services, console, rewrite)
    console.print(f"{purged} batches are purged.", highlight=False)


def _what(batch: Purgeable) -> str:
    amounts = f"{batch.documents:,} documents, {batch.ready_tasks:,} lines, {batch.tasks:,} tasks"
    return f"batch {batch.id} ({amounts}), archived on {batch.archived_at:%Y-%m-%d}"


def _purge(services: Services, console: Console, due: list[Purgeable]) -> int:
    """Purge one batch after the other, and what an earlier purge has left; return how many."""
    purged = 0
    order = Order(f"cli:{getpass.getuser()}", Role.ADMIN)
    deletions = Deletions(services.engine)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Deleting what an earlier purge left", total=None)
        _delete(deletions, progress, bar)
        for batch in due:
            total = batch.tasks + batch.documents + batch.ready_tasks
            progress.reset(bar, description=f"Batch {batch.id}", total=total)
            try:
                begun = services.purge.begin(batch.id, order)
            except Busy:
                console.print(f"Batch {batch.id} is locked. Try again later.", highlight=False)
                continue
            _delete(deletions, progress, bar)
            purged += begun
            if begun:
                console.print(f"Deleted {_what(batch)}.", highlight=False)
    return purged


def _delete(deletions: Deletions, progress: Progress, bar: TaskID) -> None:
    """Delete until nothing of a purged batch is left; the service may delete at the same time."""
    while deletions.batches():
        with suppress(Busy):  # on SQLite others may write all the time
            for done in deletions.slices():
                progress.advance(bar, done.amount)
                time.sleep(pause_after(done.seconds))  # so that the others have the rest of the time
        time.sleep(BUSY_SECONDS)


def _give_back(services: Services, console: Console, rewrite: bool) -> None:
    """Give the space back to the disk."""
    if services.engine.dialect.name != "sqlite":
        return
    if rewrite:
        services.engine.dispose()
        rewrite_file(path_of(services.engine.url.render_as_string()))
    elif space.can_give_back(services.engine):
        given = 1
        while given:
            begun = time.monotonic()
            with suppress(Busy):
                given = space.give_back(services.engine)
            time.sleep(pause_after(time.monotonic() - begun))
    else:
        console.print(NOT_GIVEN_BACK)
