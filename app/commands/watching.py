"""`watch` and `wait`: follow a batch until it has ended, or until it is in a state."""

import time
from collections.abc import Collection, Iterator
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.commands.exit_codes import Ended, Exit
from app.commands.service_command import Call, ServiceCommand, pass_call
from app.commands.values import BATCH, STATES
from app.demo.waiting import sentences
from interlock.errors import TimedOut
from interlock.shapes import Batch

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.1, 1.0
TOLD_AFTER_SECONDS = 3.0  # without any change: then the sentence says what the tasks wait for
TIMEOUT = click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Give up after this time.")


@click.command(cls=ServiceCommand)
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@TIMEOUT
@pass_call
def watch(call: Call, batch_id: int, timeout: float | None) -> None:
    """Follow a batch until it has ended, and print it.

    In a pipe each change is a line; on a terminal a bar shows the progress. The exit code is 1 if the batch is FAILED.
    """
    for batch in followed(call, batch_id, timeout):
        last = batch
        if call.output.form == "jsonl":
            call.output.one("batch", batch)
    if call.output.form != "jsonl":
        call.output.one("batch", last)
    require_completed(last)


@click.command(cls=ServiceCommand)
@click.argument("batch_ids", nargs=-1, type=BATCH, metavar="BATCH...", required=True)
@click.option("--for", "states", multiple=True, type=STATES, help="The state to wait for. Default: the end of the run.")
@TIMEOUT
@pass_call
def wait(call: Call, batch_ids: tuple[int, ...], states: tuple[str, ...], timeout: float | None) -> None:
    """Wait until batches are in a state, and print them.

    The exit code is 1 if a batch ends in another state, and 6 if it takes longer than --timeout.
    """
    ends_at = None if timeout is None else time.monotonic() + timeout
    call.output.rows("batch", [_waited(call, batch_id, states, ends_at) for batch_id in batch_ids])


def _waited(call: Call, batch_id: int, states: Collection[str], ends_at: float | None) -> Batch:
    left = None if ends_at is None else max(ends_at - time.monotonic(), 0.0)
    for batch in followed(call, batch_id, left, states):
        found = batch
    if states and found["state"] not in states:
        raise Ended(f"Batch {batch_id} is {found['state']}{_why(found)}.", Exit.FAILED)
    if not states:
        require_completed(found)
    return found


def require_completed(batch: Batch) -> None:
    """Raise Ended if the batch has failed."""
    if batch["failure"]:
        raise Ended(f"Batch {batch['id']} is {batch['state']}{_why(batch)}.", Exit.FAILED)


def _why(batch: Batch) -> str:
    failure = batch["failure"]
    return f": {failure['code']}{': ' + failure['message'] if failure['message'] else ''}" if failure else ""


def followed(call: Call, batch_id: int, timeout: float | None, states: Collection[str] = ()) -> Iterator[Batch]:
    """Yield the batch after each change, until it is in one of the states or has ended. Raises TimedOut."""
    ends_at = None if timeout is None else time.monotonic() + timeout
    with _Display(call) as display:
        seconds, last = FIRST_LOOK_SECONDS, None
        while True:
            batch = call.client.batch(batch_id)
            display.show(batch)
            if batch != last:
                yield batch
                seconds, last = FIRST_LOOK_SECONDS, batch
            if batch["state"] in states or batch["finished_at"]:
                return
            left = seconds if ends_at is None else ends_at - time.monotonic()
            if left <= 0:
                raise TimedOut(f"Batch {batch_id} is still {batch['state']} after {timeout:g} s.")
            time.sleep(min(seconds, left))
            seconds = min(seconds * 1.5, LONGEST_LOOK_SECONDS)


class _Display:
    """A bar on a terminal, and sentences about what is waited for; both on stderr."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=call.output.notes, transient=True, disable=not call.output.shows_progress,
        )  # fmt: skip
        self._bar = self._progress.add_task("", total=None)
        self._last: Any = None
        self._since = time.monotonic()
        self._told: set[str] = set()

    def __enter__(self) -> "_Display":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, batch: Batch) -> None:
        """Show the progress; say what the tasks wait for where nothing has changed for a while."""
        staging = batch["progress"]["staging"]
        is_staging = staging["completed"] + staging["failed"] < staging["total"]
        counts = staging if is_staging else batch["progress"]["analysis"]
        done = counts["completed"] + counts["failed"]
        self._progress.update(self._bar, description=batch["state"], completed=done, total=counts["total"] or None)
        now, seen = time.monotonic(), (batch["version"], batch["progress"])
        if seen != self._last:
            self._last, self._since = seen, now
        elif now - self._since > TOLD_AFTER_SECONDS:
            for sentence in sentences(batch, self._call.client.url):
                if sentence not in self._told:
                    self._told.add(sentence)
                    self._call.output.note(sentence)
