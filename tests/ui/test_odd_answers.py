"""Pages of a batch whose answers and errors have values that no model server should send."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.lives import bring, fail, lease
from tests.api.test_hostile_values import complete_together, odd_results
from tests.support.client import ApiClient

PAGES = (
    "", "/now", "/tasks", "/failures", "/results", "/results?find=a", "/results?show=differ", "/results/sums",
    "/results?sort=slowest&by=1.1", "/results.jsonl", "/report.csv",
)  # fmt: skip


@pytest.mark.parametrize("value", [[], {"a": {}}, -1.5, True, None], ids=repr)
def test_pages_show_odd_answers(client: ApiClient, viewer: FlaskClient, value: Any) -> None:
    results = odd_results(value)
    batch_id = bring(client, "ANALYZING", documents=len(results) + 1)["id"]
    *tasks, last = lease(client, batch_id)
    assert complete_together(client, tasks, results).status_code == 200
    fail(client, last, error={"code": "c", "message": "m", "body": value}, retryable=False)
    of_tasks = [f"{path}/{task['id']}" for task in (*tasks, last) for path in ("/tasks", "/results/cell")]
    for path in (*PAGES, *of_tasks):
        with viewer.get(f"/batches/{batch_id}{path}") as answer:
            assert answer.status_code == 200, path
