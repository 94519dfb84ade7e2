"""The demo's batch: finds or creates it, and requests its actions until it has ended."""

import time
from typing import Any

from rich.console import Console
from rich.text import Text

from app.demo.client import Client, DemoFailed, detail_of
from app.demo.progress_display import ProgressDisplay
from app.demo.waiting import sentences
from app.shipped import shipped

SAMPLES = shipped("samples")
NAME = "Interlock demo: letters, minutes and clauses"
PROMPTS = [
    {"name": "summary", "text": "{document}\n\nSummarise this in one sentence."},
    {"name": "reading ease", "text": "{document}\n\nHow easy is this to read?"},
]
MODELS = [{"connection": "local", "model": "textstats", "params": {}}]
MEDIA_TYPES = {".md": "text/markdown", ".txt": "text/plain"}
ACTIONS = ("stage", "run")  # requested as soon as the batch allows them
POLL_SECONDS = 0.2
OPTIONS = {"lease_seconds": 20}  # short, so that the tasks of a killed worker are queued again soon
SHOWN_AFTER_SECONDS = 3.0  # without any change: then it prints what the tasks wait for
UNCHANGED_SECONDS = 60.0  # without any change the demo gives up; longer than a lease
TOTAL_SECONDS = 15 * 60.0


def documents() -> list[dict[str, str]]:
    """Read the samples as documents of a batch."""
    paths = sorted(path for path in SAMPLES.glob("*") if path.suffix in MEDIA_TYPES)
    if not paths:
        raise DemoFailed(f"There are no sample documents in {SAMPLES}.")
    return [
        {"name": path.name, "media_type": MEDIA_TYPES[path.suffix], "text": path.read_text(encoding="utf-8")}
        for path in paths
    ]


def find_or_create(client: Client, console: Console) -> dict[str, Any]:
    """Find the newest demo batch that has not ended, or create one."""
    for batch in client.get("/api/batches", name=NAME, limit=200)["batches"]:
        if batch["name"] == NAME and not batch["finished_at"]:
            console.print(f"Continuing batch {batch['id']}, which is {batch['state']}.")
            if "resume" in batch["allowed_actions"]:
                request_action(client, batch, "resume", console)
            return dict(batch)
    body = {"name": NAME, "documents": documents(), "prompts": PROMPTS, "models": MODELS, "options": OPTIONS}
    batch = dict(client.post("/api/batches", body).json())
    console.print(
        f"Batch {batch['id']} is created: {len(body['documents'])} documents x {len(PROMPTS)} prompts "
        f"x {len(MODELS)} model. Watch it at {client.url}/ meanwhile."
    )
    return batch


def request_action(client: Client, batch: dict[str, Any], action: str, console: Console) -> None:
    """Request an action. A refusal is only printed: the batch has changed, and the next poll shows its new state."""
    context = {"reason": "the demo"}
    answer = client.post(f"/api/batches/{batch['id']}/action", {"action": action, "context": context})
    outcome = {200: "done", 202: "queued: somebody else holds the batch"}.get(answer.status_code)
    console.print(Text(f"{action}: {outcome or detail_of(answer)}"))


def complete(client: Client, batch: dict[str, Any], console: Console) -> dict[str, Any]:
    """Request the next actions and wait, until the batch has ended. Raises DemoFailed if it fails or stands still."""
    started_at = changed_at = time.monotonic()
    last_seen: tuple[Any, ...] = ()
    requested_at_version = 0
    with ProgressDisplay(console) as display:
        while True:
            batch = client.get(f"/api/batches/{batch['id']}")
            display.show(batch)
            if batch["finished_at"]:
                break
            now, seen = time.monotonic(), (batch["version"], batch["progress"])
            if seen != last_seen:
                last_seen, changed_at = seen, now
            if now - changed_at > SHOWN_AFTER_SECONDS:
                display.show_waiting(sentences(batch, client.url))
            action = next((action for action in ACTIONS if action in batch["allowed_actions"]), None)
            if action and batch["version"] != requested_at_version:
                requested_at_version = batch["version"]
                request_action(client, batch, action, console)
            if now - changed_at > UNCHANGED_SECONDS or now - started_at > TOTAL_SECONDS:
                raise DemoFailed(why_unchanged(client, batch))
            time.sleep(POLL_SECONDS)
    if failure := batch["failure"]:
        raise DemoFailed(f"Batch {batch['id']} is {batch['state']}: {failure['message']} ({failure['code']})")
    return dict(batch)


def why_unchanged(client: Client, batch: dict[str, Any]) -> str:
    """Explain why nothing changes, as far as a client can know."""
    problem = f"Batch {batch['id']} is {batch['state']}, and nothing has changed for too long."
    waits = sentences(batch, client.url)
    if "resume" in batch["allowed_actions"]:
        why = " ".join(waits) if any(each["class"] for each in batch["waiting_for"]) else "Somebody has paused it."
        return f"{problem} {why} Start the demo again to resume it."
    if batch["progress"]["analysis"].get("leased"):
        return f"{problem} A worker holds tasks of it and does not report; its log may say why."
    return " ".join([problem, *(waits or ["A log of the service may say why."])])
