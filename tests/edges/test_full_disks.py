"""The disk of the database is full: a change is 503 and has no effect, a read is answered, and all goes on afterwards.

How it looks to the service is what is tried here; `python -m bench.edges` fills a real disk.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, event, text

from app.services.upkeep.verify import verify
from tests.api.lives import answered, create, refused, show
from tests.support.client import ApiClient

LARGE = [{"name": "large", "text": "x" * 1_000_000}]
NO_ROOM = (
    "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$",
    "CREATE TRIGGER no_room BEFORE INSERT ON documents EXECUTE FUNCTION no_room()",
)
FullDisk = Callable[[], AbstractContextManager[None]]


@contextmanager
def full_for_postgresql(engine: Engine) -> Iterator[None]:
    with engine.begin() as connection:
        for statement in NO_ROOM:
            connection.execute(text(statement))
    yield
    with engine.begin() as connection:
        connection.execute(text("DROP FUNCTION no_room CASCADE"))


@contextmanager
def full_for_sqlite(engine: Engine) -> Iterator[None]:
    pages = 1  # as many as there are

    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(engine, "begin", limit)
    yield
    pages = 2**30


@pytest.fixture
def full_disk(app: Flask) -> FullDisk:
    engine = app.extensions["interlock"].engine
    return lambda: (full_for_sqlite if engine.dialect.name == "sqlite" else full_for_postgresql)(engine)


def test_a_change_has_no_effect_and_works_when_there_is_room(
    app: Flask, client: ApiClient, full_disk: FullDisk
) -> None:
    batch = create(client)
    with full_disk():
        answer = client.post("/api/batches", json={"name": "large", "documents": LARGE})
        assert refused(answer, 503)["detail"] == "The disk of the database is full."
        assert int(answer.headers["Retry-After"]) >= 1
        assert show(client, batch["id"]) == batch
    assert len(answered(client.get("/api/batches"))["batches"]) == 1
    create(client, name="large", documents=1)
    assert list(verify(app.extensions["interlock"].engine)) == []
