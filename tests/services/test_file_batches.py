"""Batches that are made of a file: pages of them, and the steps that the service takes."""

import threading
from typing import Any

import pytest
from sqlalchemy import update

from app import portions
from app.db import reading, transaction
from app.models import File
from app.services import Services
from app.services.file_batch import input_reader, steps
from app.services.file_batch.steps import LARGE_BYTES, DueStep, Step
from app.services.upkeep.file_batch_steps import FileBatchSteps
from tests.services.stories import create_of_file
from tests.support.waiting import LIMIT_SECONDS, wait_until

LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": [1]}}\n'


def make_large(services: Services, batch_id: int) -> None:
    """Let the file of a batch seem to be large."""
    input_file = services.file_batches.show(f"batch_{batch_id}").row.file_id
    with transaction(services.engine) as connection:
        connection.execute(update(File).where(File.id == input_file).values(size_bytes=LARGE_BYTES + 1))


def due(services: Services) -> list[DueStep]:
    with reading(services.engine) as connection:
        return steps.due(connection)


def test_a_page_with_many_errors_has_fewer_batches(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [create_of_file(services, b"bad\n" * 10) for _ in range(3)]
    services.sweeper.sweep()
    shown, has_more = services.file_batches.page(10)
    assert ([each.batch.id for each in shown], has_more) == (numbers[::-1], False)
    assert all(each.errors for each in shown)

    monkeypatch.setattr(portions, "MOST_BYTES", 100)
    seen, after = [], 0
    while True:
        shown, has_more = services.file_batches.page(10, after)
        seen += [each.batch.id for each in shown]
        assert len(shown) == 1
        if not has_more:
            break
        after = seen[-1]
    assert seen == numbers[::-1]


def test_a_step_of_a_large_batch_is_known(services: Services) -> None:
    large, small = create_of_file(services, LINE), create_of_file(services, LINE)
    make_large(services, large)
    assert due(services) == [DueStep(large, Step.READ, True), DueStep(small, Step.READ, False)]


def test_others_do_not_wait_for_large_batches(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    large = [create_of_file(services, LINE) for _ in range(3)]  # more than are read at once
    small = create_of_file(services, LINE)
    for each in large:
        make_large(services, each)
    read, may_go_on = input_reader.read, threading.Event()

    def slow_if_large(engine: Any, batches: Any, batch_id: int, stopping: Any) -> None:
        if batch_id in large:
            assert may_go_on.wait(LIMIT_SECONDS)
        read(engine, batches, batch_id, stopping)

    def is_read(batch_id: int) -> bool:
        return services.file_batches.show(f"batch_{batch_id}").batch.ready_task_count == 1

    monkeypatch.setattr(input_reader, "read", slow_if_large)
    beside = FileBatchSteps(services.engine, services.batches, threading.Event())
    try:
        beside.take(lambda step: step(), inline=False)
        wait_until(lambda: is_read(small), "the small batch")
        assert not any(is_read(each) for each in large)
    finally:
        may_go_on.set()
        wait_until(lambda: all(is_read(each) for each in large), "the large batches")
        beside.close()
