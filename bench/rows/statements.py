"""How many statements each call sends to the database. The application runs in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, event

from app import create_app
from app.round_trips import OneTripCursor
from app.schema import migrate
from app.services import Services
from app.web.services import EXTENSION
from bench.make_batches import lines_of
from bench.options import Bench
from bench.results import Result
from config import Config
from tests.support.client import ApiClient, api_client
from tests.support.databases import postgres_database

AT_ONCE = 100
ADMIN = "counted-and-gone"


@dataclass
class Trips:
    """Counts of statements and of round trips: some statements go along with others (app/round_trips.py)."""

    statements: int = 0
    round_trips: int = 0

    def words(self) -> tuple[str, str]:
        return _amount(self.statements, "statement"), f"{_amount(self.round_trips, 'round trip')} with COMMIT"


def _amount(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def counting(engine: Engine) -> Iterator[Trips]:
    """Count what an engine sends while the block runs."""
    trips = Trips()

    send = OneTripCursor.send

    def statement(*_: Any) -> None:
        trips.statements += 1

    def counted(cursor: OneTripCursor, *sent: Any) -> None:
        trips.round_trips += 1
        send(cursor, *sent)

    event.listen(engine, "before_cursor_execute", statement)
    with patch.object(OneTripCursor, "send", counted):
        yield trips
    event.remove(engine, "before_cursor_execute", statement)


@contextmanager
def _application(bench: Bench) -> Iterator[tuple[ApiClient, Services]]:
    with postgres_database(bench.postgres_url) as url:
        migrate(url)
        app = create_app(Config(database_url=url, admin_token=ADMIN))
        services: Services = app.extensions[EXTENSION]
        try:
            yield api_client(app, {"admin": ADMIN}), services
        finally:
            services.engine.dispose()


def statements(bench: Bench) -> list[Result]:
    """Count the statements and round trips of one call of each kind."""
    with _application(bench) as (client, services):
        counted: list[Result] = []

        def call(path: str, body: Any, what: str | None = None) -> Any:
            with counting(services.engine) as trips:
                response = client.post(path, json=body) if body is not None else client.get(path)
            assert response.status_code == 200, response.text
            if what:
                counted.append(Result(what, *trips.words()))
            return response.json

        _call_each(call, client)
    return counted


def _call_each(call: Callable[..., Any], client: ApiClient) -> None:
    made = client.post("/api/batches?name=counted", data=lines_of(AT_ONCE + 3), content_type="application/jsonl")
    batch = made.headers["Location"]
    for action in ("stage", "run", "pause", "resume"):  # what is prepared is prepared by the first call of each kind
        call(f"{batch}/action", {"action": action})
    call(f"{batch}/action", {"action": "pause"}, "to the database: pause")
    call(f"{batch}/action", {"action": "resume"})
    call(batch, None)
    call(batch, None, "to the database: GET of a batch")
    lease = {"worker": "bench", "batch_id": int(batch.rsplit("/", 1)[1]), "lease_seconds": 600}
    first, single = call("/api/tasks/lease", {**lease, "max_tasks": 2})["tasks"]
    many = call("/api/tasks/lease", {**lease, "max_tasks": AT_ONCE}, f"to the database: lease {AT_ONCE} of one batch")
    done: dict[str, Any] = {"result": {"text": "An answer."}}
    for task, what in ((first, None), (single, "to the database: a single report")):
        call(f"/api/tasks/{task['id']}/complete", {"lease_token": task["lease_token"], **done}, what)
    reports = [
        {"task_id": task["id"], "lease_token": task["lease_token"], "outcome": "completed", **done}
        for task in many["tasks"]
    ]
    call("/api/tasks/report", {"reports": reports}, f"to the database: report {AT_ONCE}")
