"""A worker of one page, for following docs/operators.md by hand: does a few tasks and ends.

    python3 docs/play_worker.py complete 3   lease up to three tasks and report them completed
    python3 docs/play_worker.py fail 1       lease one task and report that it failed for good
    python3 docs/play_worker.py lease        lease one task, and print TASK=... and LEASE=... for the shell

Asks the service at $URL with $TOKEN (a worker's or an admin's). The real worker is `python -m app.worker`.
"""

import json
import os
import shlex
import sys
import urllib.request
from typing import Any


def call(path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        os.environ["URL"] + path,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {os.environ['TOKEN']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=40) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def result(task: dict[str, Any]) -> dict[str, Any]:
    """Stage a document by its text; answer a prompt by counting its words, for a cent."""
    payload = task["payload"]
    if task["kind"] == "STAGE":
        return {"text": payload.get("text") or content(payload["content_url"])}
    messages = payload.get("messages") or payload["body"]["messages"]
    words = sum(len(message["content"].split()) for message in messages)
    return {"text": f"{words} words", "usage": {"input_tokens": words, "output_tokens": 2, "cost": 0.01}}


def content(path: str) -> str:
    request = urllib.request.Request(os.environ["URL"] + path, None, {"Authorization": f"Bearer {os.environ['TOKEN']}"})
    with urllib.request.urlopen(request, timeout=40) as answer:
        text: str = answer.read().decode()
    return text


def main(verb: str, amount: int = 1) -> None:
    wanted = {"worker": "played by hand", "max_tasks": amount, "wait_seconds": 5}
    for task in call("/api/tasks/lease", wanted)["tasks"]:
        path, lease = f"/api/tasks/{task['id']}", {"lease_token": task["lease_token"]}
        if verb == "lease":
            sys.stdout.write(f"TASK={task['id']} LEASE={shlex.quote(task['lease_token'])}\n")
        elif verb == "fail":
            error = {"code": "no_answer", "message": "the model gave no answer"}
            call(f"{path}/fail", {**lease, "error": error, "retryable": False})
        else:
            call(f"{path}/complete", {**lease, "result": result(task)})


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
