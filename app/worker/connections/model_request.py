"""Builds the request of a task to a model server, in the form of OpenAI's API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.worker.connections.settings import Connection
from app.worker.task import TaskFailed

CHAT, EMBEDDINGS = "/chat/completions", "/embeddings"
PATHS = {"/v1/chat/completions": CHAT, "/v1/embeddings": EMBEDDINGS}  # by the url of a ready-made task
BYTES_PER_TOKEN = 4  # an estimate; the rate limiter corrects it after the answer


@dataclass(frozen=True)
class ModelRequest:
    """The path and the body of one call."""

    path: str
    body: dict[str, Any]

    @property
    def input_tokens(self) -> float:
        """An estimate from the size of the input."""
        return len(orjson.dumps(self.body.get("messages") or self.body.get("input"))) / BYTES_PER_TOKEN

    @property
    def max_output_tokens(self) -> float | None:
        """The limit that the request sets; None without one."""
        if self.path == EMBEDDINGS:
            return 0.0
        limit = self.body.get("max_completion_tokens", self.body.get("max_tokens"))
        return float(limit) if isinstance(limit, int) else None

    @property
    def wants_json(self) -> bool:
        wanted = self.body.get("response_format")
        return isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema")


def request_of(payload: Mapping[str, Any], settings: Connection) -> ModelRequest:
    """Build the request of a task. Raises TaskFailed, not retryable, for a request that is not supported."""
    request = _of_prompt(payload, settings) if "connection" in payload else _of_ready_made(payload)
    if request.body.get("stream"):
        raise TaskFailed("bad_request", "Answers are not streamed here: leave out `stream`.", retryable=False)
    return request


def _of_prompt(payload: Mapping[str, Any], settings: Connection) -> ModelRequest:
    model, messages = str(payload.get("model", "")), payload.get("messages") or []
    body = {**(payload.get("params") or {}), "model": model}
    prices = settings.model(model)
    if prices and prices.embeddings:
        text = "\n\n".join(str(message["content"]) for message in messages)
        return ModelRequest(EMBEDDINGS, {"encoding_format": "float", **body, "input": text})
    if settings.structured and payload.get("schema") is not None:
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": payload["schema"]}}
        body = {"response_format": wanted, **body}
    return ModelRequest(CHAT, {**body, "messages": messages})


def _of_ready_made(payload: Mapping[str, Any]) -> ModelRequest:
    path, body = PATHS.get(str(payload.get("url"))), payload.get("body")
    if path is None or not isinstance(body, dict):
        message = f"A line with url {payload.get('url')!r} is not supported; these are: {', '.join(PATHS)}."
        raise TaskFailed("bad_request", message, retryable=False)
    return ModelRequest(path, body)
