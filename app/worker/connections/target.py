"""What a task needs of a worker: a connection and a model. Ready-made tasks name no connection: theirs is `jsonl`."""

from collections.abc import Mapping
from typing import Any

from app.worker.connections.settings import READY_MADE


def connection_and_model(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Read the connection and the model of a task."""
    if "connection" in payload:
        return str(payload["connection"]), str(payload.get("model", ""))
    body = payload.get("body")
    return READY_MADE, str(body.get("model", "")) if isinstance(body, dict) else ""
