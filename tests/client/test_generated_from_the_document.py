"""openapi-python-client makes a client of the served OpenAPI document, and that client works against the service."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

from tests.client.conftest import body
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS

NAME = "made_of_the_document"


@pytest.fixture
def generated(service_with_worker: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The client that openapi-python-client makes, as a module."""
    (tmp_path / "openapi.json").write_text(
        requests.get(f"{service_with_worker.url}/api/openapi.json", timeout=LIMIT_SECONDS).text
    )
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", "openapi.json"]
    done = subprocess.run(
        [*command, "--meta", "none", "--output-path", str(tmp_path / NAME)],
        cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module(NAME)


def call(module: str) -> Any:
    return importlib.import_module(f"{NAME}.api.{module}").sync_detailed


def test_a_batch_is_created_acted_on_and_read(generated: ModuleType, service_with_worker: LiveServer) -> None:
    models = importlib.import_module(f"{NAME}.models")
    client = generated.AuthenticatedClient(
        base_url=service_with_worker.url, token=service_with_worker.tokens["operator"], timeout=LIMIT_SECONDS
    )
    with client:
        whole = models.BatchBody.from_dict(body("of a generated client"))
        batch = call("batches.post_api_batches")(client=client, body=whole).parsed
        assert (batch.name, batch.state, batch.version) == ("of a generated client", "SAVED", 1)
        action = models.ActionBody.from_dict({"action": "stage", "context": {"reason": "a test"}})
        decision = call("actions.post_api_batches_batch_id_action")(batch.id, client=client, body=action)
        assert (decision.status_code, decision.parsed.new_state) == (200, "STAGING")
        refused = call("actions.post_api_batches_batch_id_action")(batch.id, client=client, body=action)
        assert (refused.status_code, refused.parsed.code) == (409, "state_refused")
        listed = call("batches.get_api_batches")(client=client, name="of a generated client").parsed
        assert [each.id for each in listed.batches] == [batch.id]
        (created, staged, *_) = call("batches.get_api_batches_batch_id_audit")(batch.id, client=client).parsed.audit
        assert (created.trigger, staged.reason) == ("create", "a test")
