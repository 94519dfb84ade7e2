"""A lease of many tasks reads only as many texts as its answer has room for, whatever each is made of."""

from typing import Any

import pytest

from app.prepared_statements import Prepared
from app.services import Services
from app.services.input import edits
from app.services.queue import grant
from tests.services.stories import OPERATOR, act, complete, create_ready, document, lease

TEXT = "some words " * 1_000
TASKS = 40
ROOM = 5 * len(TEXT)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, services: Services) -> list[int]:
    """The characters of the texts that the database sent, by statement."""
    monkeypatch.setattr(grant, "MOST_BYTES", ROOM)
    sent: list[int] = []
    real = grant.payloads

    def counted(connection: Any, *args: Any) -> Any:
        execute, rows_of = connection.execute, Prepared.rows

        def count(rows: Any) -> Any:
            sent.append(sum(len(str(value)) for row in rows for value in row if value is not None))
            return rows

        with monkeypatch.context() as patched:
            patched.setattr(connection, "execute", lambda *given: count(execute(*given).all()))
            patched.setattr(Prepared, "rows", lambda *given, **values: count(rows_of(*given, **values)))
            yield from real(connection, *args)

    monkeypatch.setattr(grant, "payloads", counted)
    return sent


def of_long_texts(services: Services) -> int:
    body = {
        "name": "long",
        "documents": [document(f"{number}.txt", TEXT + str(number)) for number in range(TASKS)],
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": "local", "model": "m", "params": {}}],
        "options": {},
    }
    return int(edits.create_batch(services.batches, body, OPERATOR)["id"])


def test_staging_and_analysis(services: Services, read: list[int]) -> None:
    batch_id = of_long_texts(services)
    act(services, batch_id, "stage")
    for _ in range(2):
        seen: set[str] = set()
        while tasks := lease(services, batch_id, most=1_000):
            assert max(read) < 2 * ROOM
            assert len(tasks) <= 5
            seen |= {task["id"] for task in tasks}
            for task in tasks:
                complete(services, task, {"text": TEXT + task["id"]})
        assert len(seen) == TASKS
        if services.reads.batches.show(batch_id)["state"] == "STAGED":
            act(services, batch_id, "run")


def test_a_text_beyond_the_room_is_given_alone(services: Services, read: list[int], monkeypatch: Any) -> None:
    monkeypatch.setattr(grant, "MOST_BYTES", 10)
    batch_id = of_long_texts(services)
    act(services, batch_id, "stage")
    assert len(lease(services, batch_id, most=1_000)) == 1


def test_ready_made_tasks(services: Services, read: list[int], monkeypatch: Any) -> None:
    batch_id = create_ready(services, TASKS)
    act(services, batch_id, "stage")
    act(services, batch_id, "run")
    monkeypatch.setattr(grant, "MOST_BYTES", 100)
    assert 1 <= len(lease(services, batch_id, most=1_000)) < TASKS
