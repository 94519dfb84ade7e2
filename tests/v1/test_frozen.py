"""Files of a batch that has ended do not change: not by time, not by a restart, not from one process to another."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import openai

from tests.support.server import LiveServer, running_server
from tests.v1.hands import Hands, reach
from tests.v1.lines import create, line

DOWNLOADS = 6  # by new connections, which either process may take


def _client(server: LiveServer, admin: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=admin, max_retries=2)


@contextmanager
def service(database_url: str, admin: str) -> Iterator[tuple[LiveServer, openai.OpenAI]]:
    with running_server(database_url, workers=2, ADMIN_TOKEN=admin) as server, _client(server, admin) as client:
        yield server, client


def hashes(server: LiveServer, admin: str, *file_ids: str | None) -> set[tuple[str, ...]]:
    """The SHA-256 of the files, as several clients see them."""
    found = set()
    for _ in range(DOWNLOADS):
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key=admin) as client:
            contents = [client.files.content(str(file_id)).content for file_id in file_ids]
            found.add(tuple(hashlib.sha256(content).hexdigest() for content in contents))
    return found


def test_two_downloads_are_equal(database_url: str) -> None:
    admin = secrets.token_urlsafe(32)
    with service(database_url, admin) as (server, client), server.session() as http:
        made = create(client, *map(line, "abcd"))
        hands = Hands(server, http, reach(client, made, "in_progress"))
        first, second, third = hands.lease(3)
        hands.complete(first)
        hands.fail(second)
        client.batches.cancel(made.id)
        hands.release(third)
        done = reach(client, made, "cancelled")
        files = (done.output_file_id, done.error_file_id)
        before = hashes(server, admin, *files)
        assert len(before) == 1
    with service(database_url, admin) as (server, client):
        assert hashes(server, admin, *files) == before
        assert client.batches.retrieve(made.id) == done
