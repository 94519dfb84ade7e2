"""kill -9 of the service under changes: each change's message arrives with one id, and none without a change.

The secret is replaced meanwhile, and the public library for receivers accepts each message with the first one.

`make soak` makes 20,000 changes under 50 kills, `make test` as many as show that the leader's work goes on elsewhere;
tests/webhooks/test_messages.py kills it at each statement.
"""

import os
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count

import pytest
import requests
from sqlalchemy import create_engine, text
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from tests.support.effort import effort
from tests.support.receiver import OK, Answer, Received, Receiver, running_receiver
from tests.support.server import LiveServer, StartServer
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.webhooks.conftest import LOCAL
from tests.webhooks.subscriptions import told_by

CHANGES = effort(test=200, soak=20_000)
KILLS = effort(test=4, soak=50)
CALLERS, PROCESSES = 4, 2
ROTATIONS = effort(test=1, soak=5)
DIGESTED, DIGESTED_KILLS = 40, 4  # changes that fit into one digest line by line; `make soak` does it again
REFUSED_OF = 200  # one of so many messages is answered 503 at first, and is sent again


def change(server: LiveServer, session: requests.Session, batch_id: int) -> None:
    """Request a change; when the server dies meanwhile, nobody knows whether it was made: the trail tells."""
    with suppress(requests.RequestException):
        session.post(f"{server.url}/api/batches/{batch_id}/action", json={"action": "reset"}, timeout=LIMIT_SECONDS)


def changes_of(database_url: str) -> set[str]:
    """Name the changes of state in the audit trail, as their messages are named."""
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT batch_id, version FROM audit_log WHERE kind <> 'edit'")).all()
    engine.dispose()
    return {f"msg_{row.batch_id}_{row.version}" for row in rows}


def new_batch(server: LiveServer) -> int:
    with server.session() as http:
        made = http.post(f"{server.url}/api/batches", json={"name": "n"}, timeout=LIMIT_SECONDS)
    made.raise_for_status()
    return int(made.json()["id"])


class Opener:
    """Opens each message as a receiver does that still has the first secret; `unopened` are those that it cannot."""

    def __init__(self) -> None:
        self.secret = ""
        self.unopened: list[str] = []
        self._refused: set[str] = set()

    def answer(self, received: Received) -> Answer:
        """Answer 503 to one of REFUSED_OF messages, the first time."""
        try:  # at once: the library refuses a message that is five minutes old
            StandardWebhook(self.secret).verify(received.body, dict(received.headers))
        except WebhookVerificationError:
            self.unopened.append(received.id)
        if hash(received.id) % REFUSED_OF == 0 and received.id not in self._refused:
            self._refused.add(received.id)
            return Answer(503)
        return OK


def rotates(server: LiveServer, path: str, key: str) -> bool:
    """Replace the secret, once for a key; for a day the first one signs, too. Say whether the call was answered."""
    with suppress(requests.RequestException), server.session() as http:
        headers = {"Idempotency-Key": key}
        return http.post(f"{server.url}{path}/rotate", headers=headers, timeout=LIMIT_SECONDS).ok
    return False


@pytest.fixture
def opener() -> Opener:
    return Opener()


@pytest.fixture
def killed_receiver(opener: Opener) -> Iterator[Receiver]:
    with running_receiver(opener.answer) as running:
        yield running


@pytest.mark.soak(rounds=1)
def test_each_change_arrives_and_nothing_else(
    database_url: str, start_server: StartServer, killed_receiver: Receiver, opener: Opener
) -> None:
    server = start_server(database_url, workers=PROCESSES, WEBHOOK_ALLOWED_NETWORKS=LOCAL)
    with server.session() as http:
        body = {"url": killed_receiver.url, "types": ["batch.state_changed"]}
        made = http.post(f"{server.url}/api/webhooks", json=body, timeout=LIMIT_SECONDS)
    made.raise_for_status()
    opener.secret, path = made.json()["secret"], made.headers["Location"]
    ids = [new_batch(server) for _ in range(CALLERS)]
    numbers = count()
    with ExitStack() as opened:

        def call(batch_id: int, session: requests.Session) -> None:
            while next(numbers) < CHANGES:
                change(server, session, batch_id)

        callers = [
            threading.Thread(target=call, args=(batch_id, opened.enter_context(server.session()))) for batch_id in ids
        ]
        for caller in callers:
            caller.start()
        for number in range(1, KILLS + 1):
            due = CHANGES * number // (KILLS + 1)
            wait_until(lambda due=due: len(set(killed_receiver.ids)) >= due or not callers[0].is_alive(), "changes")
            wait_until(lambda: len(server.web_pids()) == PROCESSES, "the process that takes the place of a killed one")
            if number % (KILLS // ROTATIONS) == 0:
                wait_until(lambda key=f"kill {number}": rotates(server, path, key), "a new secret")
            os.kill(server.web_pids()[number % PROCESSES], signal.SIGKILL)
        for caller in callers:
            caller.join()
    with server.session() as http:
        assert http.get(f"{server.url}{path}", timeout=LIMIT_SECONDS).json()["secrets"] > 1
    told = changes_of(database_url)
    assert len(told) >= CHANGES / 2
    wait_until(lambda: set(killed_receiver.ids) >= told, lambda: f"{len(told - set(killed_receiver.ids))} messages")
    bodies: defaultdict[str, set[bytes]] = defaultdict(set)
    for each in list(killed_receiver.received):
        bodies[each.id].add(each.body)
    assert bodies.keys() == told
    assert all(len(found) == 1 for found in bodies.values())
    assert opener.unopened == []


@pytest.mark.soak(rounds=10)
def test_digests_tell_each_change_and_nothing_else(database_url: str, start_server: StartServer) -> None:
    """The time between two digests is not waited for: it is taken from the database."""
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg2:"))
    with running_receiver() as receiver:
        server = start_server(database_url, workers=PROCESSES, WEBHOOK_ALLOWED_NETWORKS=LOCAL)
        body = {"url": f"json://127.0.0.1:{receiver.port}/", "types": ["batch.state_changed"], "format": "apprise"}
        with server.session() as http:
            http.post(f"{server.url}/api/webhooks", json=body, timeout=LIMIT_SECONDS).raise_for_status()
            batch_id = new_batch(server)
            for number in range(1, DIGESTED + 1):
                change(server, http, batch_id)
                if number % (DIGESTED // DIGESTED_KILLS) == 0:
                    wait_until(
                        lambda: len(server.web_pids()) == PROCESSES, "the process that takes a killed one's place"
                    )
                    os.kill(server.web_pids()[number // 10 % PROCESSES], signal.SIGKILL)

        def told() -> set[str]:
            with engine.begin() as connection:
                connection.execute(text("UPDATE webhooks SET next_digest_at = NULL"))
            return {each for digest in list(receiver.received) for each in told_by(digest.json["message"])}

        made = changes_of(database_url)
        assert len(made) >= DIGESTED / 2
        wait_until(lambda: told() >= made, "digests that tell all changes")
        assert told() == made
    engine.dispose()
