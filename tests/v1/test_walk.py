"""A walk through every status: nothing happens between two looks but what the test does, so each status is seen."""

from collections.abc import Callable, Iterator

import httpx2
import openai
import pytest
from flask import Flask
from openai.types import Batch

from app.services import Services
from tests.services import stories
from tests.services.stories import lease, trail
from tests.support.waiting import wait_until
from tests.v1.lines import create, line, read

PAST = "2026-01-01T00:00:00Z"


class Walk:
    """A batch of two lines, seen by the SDK, and what is done to it."""

    def __init__(self, client: openai.OpenAI, services: Services) -> None:
        self.client = client
        self.services = services
        self.made = create(client, line("a"), line("b"))
        self.number = int(self.made.id.removeprefix("batch_"))

    @property
    def batch(self) -> Batch:
        return self.client.batches.retrieve(self.made.id)

    @property
    def status(self) -> str:
        return self.batch.status

    def sweep_until(self, status: str, *on_the_way: str) -> Batch:
        """Sweep until the batch has a status; on the way it has no other but these."""

        def reached() -> Batch | None:
            self.services.sweeper.sweep()
            shown = self.batch
            assert shown.status in (status, *on_the_way)
            return shown if shown.status == status else None

        found = wait_until(reached, status)
        assert found is not None
        return found

    def act(self, action: str, **context: object) -> None:
        stories.act(self.services, self.number, action, **context)


@pytest.fixture
def sdk_in_process(app: Flask, tokens: dict[str, str]) -> Iterator[openai.OpenAI]:
    """The SDK on the application of this process, which sweeps only when a test says so."""
    with (
        httpx2.Client(transport=httpx2.WSGITransport(app)) as http,
        openai.OpenAI(
            base_url="http://localhost/v1", api_key=tokens["operator"], max_retries=0, http_client=http
        ) as client,
    ):
        yield client


@pytest.fixture
def walk(sdk_in_process: openai.OpenAI, services: Services) -> Walk:
    made = Walk(sdk_in_process, services)
    assert made.status == "validating"
    return made


@pytest.fixture
def running(walk: Walk) -> Walk:
    walk.sweep_until("in_progress", "validating")
    return walk


def complete_all(walk: Walk) -> None:
    for task in lease(walk.services, walk.number):
        stories.complete(walk.services, task, {"status_code": 200, "body": {"choices": []}})


def fail_all(walk: Walk) -> None:
    for task in lease(walk.services, walk.number):
        stories.fail(walk.services, task, retryable=False)


def fail_critically(walk: Walk) -> None:
    first, second = lease(walk.services, walk.number)
    stories.complete(walk.services, first, {"status_code": 200, "body": {"choices": []}})
    stories.fail(walk.services, second, critical=True)


def expire(walk: Walk) -> None:
    walk.act("pause")
    walk.act("resume", deadline_at=PAST)


@pytest.mark.parametrize(
    ("end", "status", "output", "errors"),
    [
        (complete_all, "completed", ["a", "b"], []),
        (fail_all, "completed", [], ["a", "b"]),
        (fail_critically, "failed", ["a"], ["b"]),
        (expire, "expired", [], ["a", "b"]),
    ],
)
def test_a_run_that_ends_is_finalizing_until_its_files_are_made(
    running: Walk, end: Callable[[Walk], None], status: str, output: list[str], errors: list[str]
) -> None:
    end(running)
    finalizing = running.batch
    assert (finalizing.status, finalizing.output_file_id, finalizing.error_file_id) == ("finalizing", None, None)
    done = running.sweep_until(status, "finalizing")
    assert [each["custom_id"] for each in read(running.client, done.output_file_id)] == output
    assert [each["custom_id"] for each in read(running.client, done.error_file_id)] == errors
    running.services.sweeper.sweep()
    assert running.batch == done


def test_a_pause_is_in_progress(running: Walk) -> None:
    running.act("pause")
    assert running.status == "in_progress"
    for task in lease(running.services, running.number):
        pytest.fail(f"{task} was leased while the batch is PAUSED")
    running.act("resume")
    assert running.status == "in_progress"


def test_cancelling_until_no_lease_is_left(running: Walk) -> None:
    held, _ = lease(running.services, running.number)
    assert running.client.batches.cancel(running.made.id).status == "cancelling"
    running.services.sweeper.sweep()
    assert running.status == "cancelling"
    leases = [task for task in stories.tasks_of(running.services, running.number) if task["status"] == "LEASED"]
    stories.let_leases_run_out(running.services, leases)
    done = running.sweep_until("cancelled", "cancelling")
    assert {each["error"]["code"] for each in read(running.client, done.error_file_id)} == {"batch_cancelled"}
    assert stories.task(running.services, held["id"])["status"] != "COMPLETED"


def test_a_cancel_while_validating_is_kept_until_it_is_possible(walk: Walk) -> None:
    """It follows `run` in the same transaction: no line can be leased between them."""
    assert walk.client.batches.cancel(walk.made.id).status == "cancelling"
    assert walk.client.batches.cancel(walk.made.id).status == "cancelling"
    done = walk.sweep_until("cancelled", "cancelling")
    assert trail(walk.services, walk.number)[-2:] == ["run", "cancel"]
    assert [each["custom_id"] for each in read(walk.client, done.error_file_id)] == ["a", "b"]
    assert done.output_file_id is None


def test_failed_by_its_input(sdk_in_process: openai.OpenAI, services: Services) -> None:
    made = create(sdk_in_process, b"no json")
    assert made.status == "validating"
    services.sweeper.sweep()
    assert sdk_in_process.batches.retrieve(made.id).status == "failed"
