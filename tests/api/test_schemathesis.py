"""Schemathesis reads the served OpenAPI document and makes up calls: none may be answered otherwise than it says.

SQLite alone: what is tested is the edge, and thousands of calls cost less there; the values that PostgreSQL minds
more than SQLite are in test_hostile_values.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import create_app
from app.domain.transitions import BatchState
from app.web import streams
from config import Config
from tests.api.calls import CALLS, Call
from tests.api.lives import bring, create_ready, lease
from tests.support import databases
from tests.support.client import ApiClient, api_client
from tests.support.effort import SOAK, effort

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
EXAMPLES = settings(
    max_examples=effort(test=20, soak=500),
    deadline=None,
    derandomize=not SOAK,  # the same calls in every run of `make test`: what fails once fails always
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    url = databases.sqlite_database(sqlite_template, tmp_path_factory.mktemp("made_up"))
    app = create_app(Config(database_url=url, admin_token="t", max_body_bytes=100_000))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(streams, "STREAM_SECONDS", 0.0)  # a stream that goes on would be waited for
        app.extensions["interlock"].queue.stopping.set()  # and so would a lease with wait_seconds
        yield app
    app.extensions["interlock"].engine.dispose()


@pytest.fixture(scope="module")
def known(served: Flask) -> dict[str, list[Any]]:
    """Ids of what is there, so that not every call that is made up ends in 404."""
    client: ApiClient = api_client(served, {"admin": "t"})
    batches = [bring(client, state)["id"] for state in BatchState] + [create_ready(client)["id"]]
    tasks = [task["id"] for batch in batches for task in lease(client, batch, most=1)]
    return {"batch_id": batches, "document_id": [1, 2], "task_id": [*tasks, "1", "2"], "request_id": ["x"]}


@pytest.fixture(scope="module")
def document(served: Flask) -> Any:
    return schemathesis.openapi.from_wsgi("/api/openapi.json", served)


@pytest.mark.soak
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_made_up_calls_are_answered_as_documented(document: Any, known: dict[str, list[Any]], call: Call) -> None:
    """Contract 5: no 5xx but a documented 503; status, content type and body are those of the document."""
    operation = document[call.path][call.method]
    documented = set(operation.definition.raw["responses"]) - {"default"}

    @EXAMPLES
    @given(case=operation.as_strategy(), real=st.randoms(use_true_random=False))
    def run(case: Any, real: Any) -> None:
        for name in case.path_parameters or {}:
            if name in known and real.random() < 0.7:
                case.path_parameters[name] = real.choice(known[name])
        answer = case.call(headers={"Authorization": "Bearer t"})
        assert str(answer.status_code) in documented, answer.text
        case.validate_response(answer, checks=list(CHECKS))

    run()
