"""Schemas and answers that take for ever to check: the real worker goes on with other tasks, and ends at SIGTERM."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edges.answers_of_servers import USAGE, chat
from tests.edges.conftest import Edge, worker
from tests.edges.scripted_server import Reply, ScriptedServer
from tests.support.server import SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until

BACKTRACKS = {"type": "string", "pattern": "^(a+)+$"}
USUAL = [f"usual {number}" for number in range(5)]
REPLIES = {
    "backtracks": chat('"' + "a" * 60 + '!"'),  # 2^60 steps
    "newlines": chat("```json" + "\n" * 3_000),
    "fences": chat("```" * 3_000, usage=USAGE),
    "braces": chat("{" * 100_000),
    **dict.fromkeys(USUAL, chat('"aaa"')),
}


@pytest.fixture
def models() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.replies = {name: [Reply(body)] for name, body in REPLIES.items()}
    yield server
    server.stop()


def test_no_answer_stops_the_worker(module_servers: SharedServers, models: ScriptedServer, tmp_path: Path) -> None:
    service = module_servers("sqlite").server
    with service.session() as http, worker(service, models, tmp_path, "--grace-seconds", "0.2") as process:
        batch = Edge(service, models, http).batch(list(REPLIES), schema=BACKTRACKS, options={"max_attempts": 1})

        def ended() -> dict[str, str]:
            """The status, or the code of the error, of each task that has ended."""
            rows = {row["document"]["name"]: row for row in batch.results()}
            return {name: (row["error"] or {"code": row["status"]})["code"] for name, row in rows.items()}

        others = dict.fromkeys(USUAL, "COMPLETED") | dict.fromkeys(("newlines", "fences", "braces"), "schema_mismatch")
        wait_until(lambda: len({*ended()} & {*others}) == len(others), lambda: f"the other tasks: {ended()}")
        assert {**others, **ended()} in (others, others | {"backtracks": "bad_schema"})
        assert {name: ended()[name] for name in others} == others
        process.terminate()
        assert process.wait(LIMIT_SECONDS) == 0
