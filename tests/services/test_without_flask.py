"""The services in a plain Python process: no Flask, no server, no thread of theirs."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import LIMIT_SECONDS

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys, threading
from app.db import make_engine
from app.services import build
from app.services.batch.batch_service import BatchService
from app.services.batch.orders import Order
from app.services.input import edits
from app.services.input.ready_tasks import ReadyTasks
from config import Config

config = Config(database_url=sys.argv[1])
services = build(config)
batches = BatchService(make_engine(config))
lines = [{"custom_id": "a", "method": "POST", "url": "/v1/x", "body": {}}]
with ReadyTasks() as tasks:
    tasks.add(list(enumerate(lines, 1)))
    made = edits.create_batch_of_ready_tasks(batches, "plain", tasks, Order("me", "operator"))
said = []
for action in ("stage", "run"):
    said.append(batches.can_transition(made["id"], action)[0])
    answer = batches.request_state_change(made["id"], action, {"actor": "me", "role": "operator"})
    said.append(answer["batch"]["state"])
(task,) = services.queue.lease("me").tasks
batches.handle_task_failure(
    task["id"], {"lease_token": task["lease_token"], "error": {"code": "x", "message": "y"}, "retry_after_seconds": 0}
)
(task,) = services.queue.lease("me").tasks
batches.handle_task_completion(task["id"], {"lease_token": task["lease_token"], "result": {"text": "z"}})
said.append(services.reads.batches.show(made["id"])["state"])
web = sorted(name for name in ("flask", "flask_smorest", "werkzeug", "gunicorn") if name in sys.modules)
print(json.dumps({"said": said, "web": web, "threads": threading.active_count()}))
"""


def test_the_four_methods_work_without_flask(database_url: str) -> None:
    """Contract 3: public and importable without Flask's request context."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, database_url]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == {
        "said": [True, "STAGED", True, "ANALYZING", "COMPLETED"],
        "web": [],
        "threads": 1,
    }
