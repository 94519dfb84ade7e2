"""The models of present workers; and the models that none of them has."""

import openai
import pytest

from tests.support.server import Shared, SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.v1.hands import reach
from tests.v1.lines import create, line

CAN = ["stage", "openai/gpt-5", "lab/org/small", "jsonl/gpt-5", "jsonl/org/small", "any/*"]


@pytest.fixture
def served(module_servers: SharedServers) -> Shared:
    """A server of its own: what a worker of another test can do is none of this test's business."""
    return module_servers("sqlite")


def test_models_are_listed_and_others_not_found(served: Shared) -> None:
    server = served.server
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.tokens["operator"]) as client,
        server.session("admin") as http,
    ):
        assert client.models.list().data == []

        body = {"worker": "w", "can": [*CAN, "jsonl:/v1/embeddings"]}
        http.post(f"{server.url}/api/tasks/lease", json=body, timeout=LIMIT_SECONDS).raise_for_status()
        found = wait_until(lambda: client.models.list().data, "the models of the worker")
        assert [(each.id, each.object) for each in found] == [
            ("gpt-5", "model"),
            ("org/small", "model"),
        ]
        failed = reach(client, create(client, line("a", model="gpt-5"), line("b", model="gpt-6")), "failed")
        assert failed.errors is not None
        assert failed.errors.data
        assert [(each.code, each.line, each.param) for each in failed.errors.data] == [
            ("model_not_found", 2, "body.model")
        ]
        with pytest.raises(openai.PermissionDeniedError):
            client.with_options(api_key=server.tokens["worker"]).models.list()
