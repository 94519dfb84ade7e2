"""A cancel of a batch that is made of a file is kept while the batch is locked, and its caller sees no other end.

PostgreSQL alone: SQLite has one writer and no row locks, so that there is nothing to wait for.
"""

import orjson
import pytest
from sqlalchemy import select

from app.db import reading
from app.domain.file.batches import Status
from app.models import FileBatch
from app.services import Services
from app.services.batch.orders import Order
from app.services.file_batch.file_batches import ShownFileBatch
from config import Config
from tests.services.stories import act, complete, create_of_file, finish_all, lease, state_of
from tests.support.row_locks import HoldRow
from tests.support.waiting import wait_until

SWEEPS = 5  # a step each
OPERATOR = Order("an operator", "operator")
BODY = {"model": "m", "messages": [{"role": "user", "content": "a"}]}


@pytest.fixture
def config(postgres_url: str) -> Config:
    return Config(database_url=postgres_url, embedded_worker=False, sweeper=False, lock_timeout_ms=30)


def in_progress(services: Services, *custom_ids: str) -> int:
    lines = [
        orjson.dumps({"custom_id": each, "method": "POST", "url": "/v1/chat/completions", "body": BODY})
        for each in custom_ids
    ]
    number = create_of_file(services, b"\n".join(lines))
    for _ in range(SWEEPS):
        services.sweeper.sweep()
    assert show(services, number).status is Status.IN_PROGRESS
    return number


def settled(services: Services, number: int) -> ShownFileBatch:
    def found() -> ShownFileBatch | None:  # a run begun by an operator is seen every few seconds
        services.sweeper.sweep()
        shown = show(services, number)
        return shown if shown.is_settled else None

    return wait_until(found, "the files of the run")


def show(services: Services, number: int) -> ShownFileBatch:
    return services.file_batches.show(f"batch_{number}")


def cancel_while_the_last_line_is_answered(services: Services, hold_row: HoldRow, number: int) -> None:
    (task,) = lease(services, number)
    with hold_row(number):
        assert services.file_batches.cancel(f"batch_{number}", OPERATOR).status is Status.CANCELLING
        complete(services, task)
        assert show(services, number).status is Status.CANCELLING


def test_a_run_that_ends_before_the_cancel_is_decided_is_cancelled(services: Services, hold_row: HoldRow) -> None:
    number = in_progress(services, "a")
    cancel_while_the_last_line_is_answered(services, hold_row, number)
    seen = set()
    for _ in range(SWEEPS):
        services.sweeper.sweep()
        seen.add(show(services, number).status)
    assert seen <= {Status.CANCELLING, Status.CANCELLED}
    assert state_of(services, number) == "COMPLETED"  # nothing was left to cancel
    done = settled(services, number)
    assert (done.status, done.row.error_file_id) == (Status.CANCELLED, None)
    content = b"".join(services.files.content(services.files.show(f"file-{done.row.output_file_id}")))
    assert [orjson.loads(line)["custom_id"] for line in content.splitlines()] == ["a"]


def test_the_next_run_is_not_cancelled(services: Services, hold_row: HoldRow) -> None:
    number = in_progress(services, "a")
    cancel_while_the_last_line_is_answered(services, hold_row, number)
    settled(services, number)
    act(services, number, "restage")
    assert show(services, number).status is Status.VALIDATING
    act(services, number, "run")
    finish_all(services, number)
    done = settled(services, number)
    assert (done.status, done.row.cancelled_at) == (Status.COMPLETED, None)


def test_a_cancel_of_the_next_run_is_not_taken_for_that_of_the_run_before(
    services: Services, hold_row: HoldRow
) -> None:
    number = in_progress(services, "a")
    cancel_while_the_last_line_is_answered(services, hold_row, number)
    settled(services, number)
    act(services, number, "restage")
    assert services.file_batches.cancel(f"batch_{number}", Order("another", "operator")).status is Status.CANCELLING
    with reading(services.engine) as connection:
        kept = connection.execute(select(FileBatch.cancel_actor).where(FileBatch.batch_id == number)).scalar_one()
    assert kept == "another"
    act(services, number, "run")
    assert settled(services, number).status is Status.CANCELLED
