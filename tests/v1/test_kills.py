"""The service is killed while batches are validated, run and cancelled: every line ends in exactly one file."""

import os
import random
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest
from openai.types import Batch

from app.services import build
from app.services.upkeep.verify import verify
from config import Config
from tests.support.effort import effort
from tests.support.server import LiveServer, running_server
from tests.support.waiting import wait_until
from tests.v1.hands import Hands, reach
from tests.v1.lines import create, line, read

KILLS = effort(test=3, soak=20)  # one in each phase
LEAST_LINES = 4  # three are leased before the kill: the batch must not have ended
PHASES = ("validating", "in_progress", "cancelling")
FINAL = ("completed", "cancelled")


def _client(server: LiveServer, admin: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=admin, max_retries=0)


@contextmanager
def service(database_url: str, admin: str) -> Iterator[tuple[LiveServer, openai.OpenAI]]:
    """Run the service; the admin's token outlives it."""
    with running_server(database_url, ADMIN_TOKEN=admin) as server, _client(server, admin) as client:
        yield server, client


def kill(server: LiveServer) -> None:
    os.killpg(server.pid, signal.SIGKILL)
    server.process.wait()


def disturb(server: LiveServer, client: openai.OpenAI, phase: str, chance: random.Random) -> Batch:
    """Bring a new batch into a phase, and kill the service."""
    made = create(client, *(line(str(number)) for number in range(chance.randint(LEAST_LINES, 400))))
    if phase == "validating":
        time.sleep(chance.random() / 4)
    else:
        reach(client, made, "in_progress")
        with server.session() as http:
            hands = Hands(server, http, made)
            for task in hands.lease(2):
                hands.complete(task)
            hands.lease(1, lease_seconds=2)
        if phase == "cancelling":
            client.batches.cancel(made.id)
            time.sleep(chance.random() / 4)
    kill(server)
    return made


def finish(server: LiveServer, client: openai.OpenAI, batch: Batch) -> Batch:
    """Answer what is left of a batch, and wait for its end."""
    with server.session() as http:
        hands = Hands(server, http, batch)

        def ended() -> Batch | None:
            hands.complete_all()
            shown = client.batches.retrieve(batch.id)
            return shown if shown.status in FINAL else None

        found = wait_until(ended, lambda: f"the end of {client.batches.retrieve(batch.id)}")
    assert found is not None
    return found


@pytest.mark.soak
def test_no_line_is_lost_or_doubled(database_url: str) -> None:
    chance, admin = random.Random(database_url), secrets.token_urlsafe(32)
    disturbed = []
    for number in range(KILLS):
        with service(database_url, admin) as (server, client):
            phase = PHASES[number % len(PHASES)]
            disturbed.append((phase, disturb(server, client, phase, chance)))
    with service(database_url, admin) as (server, client):
        for phase, batch in disturbed:
            done = finish(server, client, batch)
            assert done.status == ("cancelled" if phase == "cancelling" else "completed")
            output, errors = read(client, done.output_file_id), read(client, done.error_file_id)
            expected = {each["custom_id"] for each in read(client, batch.input_file_id)}
            ids = [each["custom_id"] for each in [*output, *errors]]
            assert len(ids) == len(expected)
            assert set(ids) == expected
            assert {each["error"]["code"] for each in errors} <= {"batch_cancelled"}
    services = build(Config(database_url=database_url))
    assert list(verify(services.engine)) == []
    services.engine.dispose()
