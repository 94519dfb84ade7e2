"""A prompt that names the document thousands of times is too large: its task fails, and all other leases go on."""

from typing import Any

from app.services import Services
from app.services.input import edits
from tests.services.stories import OPERATOR, act, complete, document, lease
from tests.support.client import ApiClient

TEXT = "some words " * 4_000
MANY_TIMES = "{document}" * 1_000  # 44 million characters
EVERY_PLACE: list[dict[str, Any]] = [
    {"name": "text", "text": MANY_TIMES},
    {"name": "system", "text": "{document}", "system": MANY_TIMES},
    {"name": "metadata", "text": "{metadata.long}" * 1_000},
]


def staged(services: Services, prompts: list[dict[str, Any]]) -> int:
    """Make a batch of one document and bring it to ANALYZING."""
    body = {
        "name": "large",
        "documents": [document("a.txt", TEXT)],
        "prompts": [{"system": None, "schema": None, **prompt} for prompt in prompts],
        "models": [{"connection": "local", "model": "m", "params": {}}],
        "options": {},
    }
    batch_id = int(edits.create_batch(services.batches, body, OPERATOR)["id"])
    act(services, batch_id, "stage")
    (task,) = lease(services, batch_id)
    complete(services, task, {"text": TEXT, "metadata": {"long": TEXT}})
    act(services, batch_id, "run")
    return batch_id


def test_only_its_task_fails(services: Services, client: ApiClient) -> None:
    large = staged(services, [*EVERY_PLACE, {"name": "usual", "text": "{document}"}])
    leased = lease(services, most=10)
    assert [(task["batch_id"], task["payload"]["prompt"]) for task in leased] == [(large, "usual")]
    complete(services, leased[0])
    tasks = client.get(f"/api/batches/{large}/tasks?status=FAILED").json["tasks"]
    assert [task["error"]["code"] for task in tasks] == ["too_large"] * 3
    assert "limit is 33,554,432" in tasks[0]["error"]["message"]
    services.sweeper.sweep()
    assert client.get(f"/api/batches/{large}").json["state"] == "COMPLETED"


def test_a_batch_of_nothing_else_fails_and_others_go_on(services: Services) -> None:
    large, usual = staged(services, EVERY_PLACE), staged(services, [{"name": "usual", "text": "{document}"}])
    assert [task["batch_id"] for _ in range(6) for task in lease(services, most=1)] == [usual]
    services.sweeper.sweep()
    batch = services.reads.batches.show(large)
    assert (batch["state"], batch["failure"]["code"]) == ("FAILED", "all_tasks_failed")
