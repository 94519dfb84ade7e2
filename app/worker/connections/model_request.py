"""Builds the request of a task to a model server, in the form of OpenAI's API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.worker.connections.context.picture_tokens import is_picture, tokens_of_picture
from app.worker.connections.endpoints import CHAT, EMBEDDINGS, MODERATIONS, READERS, path_of
from app.worker.connections.settings import Connection
from app.worker.task import TaskFailed

BYTES_PER_TOKEN = 4  # an estimate; the rate limiter corrects it after the answer
_INPUTS = ("messages", "input", "prompt")  # of a chat, of the other endpoints, of a completion
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True)
class ModelRequest:
    """The path and the body of one call. `ready_made`: the body was given with the task."""

    path: str
    body: dict[str, Any]
    ready_made: bool = False

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def input(self) -> Any:
        """What the model is asked: messages, texts or tokens."""
        return next((self.body[name] for name in _INPUTS if self.body.get(name)), None)

    @property
    def input_tokens(self) -> float:
        """An estimate from the size of the texts and the pictures in the input."""
        return _bytes_of(self.input) / BYTES_PER_TOKEN

    @property
    def max_output_tokens(self) -> float | None:
        """The limit that the request sets; None without one."""
        if self.path in (EMBEDDINGS, MODERATIONS):
            return 0.0
        limit = next((self.body[name] for name in _LIMITS if name in self.body), None)
        return float(limit) if isinstance(limit, int) else None

    @property
    def wants_json(self) -> bool:
        wanted = self.body.get("response_format")
        return isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema")


def _bytes_of(value: Any) -> int:
    """Count the bytes of an input; those of a picture say nothing about its tokens."""
    if isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        return sum(map(_bytes_of, value))
    if is_picture(value):
        return tokens_of_picture(value) * BYTES_PER_TOKEN
    if isinstance(value, Mapping) and isinstance(value.get("content"), list):
        return _bytes_of(value["content"])
    return len(orjson.dumps(value))


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
        if any(isinstance(message["content"], list) for message in messages):
            message = f"{model} returns vectors of texts: its prompts cannot have input: images."
            raise TaskFailed("bad_request", message, retryable=False)
        text = "\n\n".join(str(message["content"]) for message in messages)
        return ModelRequest(EMBEDDINGS, {"encoding_format": "float", **body, "input": text})
    if settings.structured and payload.get("schema") is not None:
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": payload["schema"]}}
        body = {"response_format": wanted, **body}
    return ModelRequest(CHAT, {**body, "messages": messages})


def _of_ready_made(payload: Mapping[str, Any]) -> ModelRequest:
    path, body = path_of(payload.get("url")), payload.get("body")
    if path is None or not isinstance(body, dict):
        supported = ", ".join(f"/v1{path}" for path in READERS)
        message = f"A line with url {payload.get('url')!r} is not supported; these are: {supported}."
        raise TaskFailed("bad_request", message, retryable=False)
    return ModelRequest(path, body, ready_made=True)
