"""The handler of a connection: sends the request of a task to its model server and reads the result in the answer."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from app.worker.connections.model_request import EMBEDDINGS, ModelRequest, request_of
from app.worker.connections.model_server import ModelServer
from app.worker.connections.rate_limiter import RateLimiter
from app.worker.connections.settings import Connection
from app.worker.json_answers import NotJson, parse_json
from app.worker.task import Task, TaskFailed

PAUSE_SECONDS = 1.0  # after a 429 without Retry-After


class ConnectionHandler:
    """Handles the tasks of one connection, and ready-made tasks if the file of connections says so."""

    def __init__(self, name: str, settings: Connection, key: str) -> None:
        self._name = name
        self._settings = settings
        self._server = ModelServer(name, settings, key)
        self._limiter = RateLimiter(name, settings)

    def __call__(self, task: Task) -> dict[str, Any]:
        request = request_of(task.payload, self._settings)
        estimate = self._limiter.estimate(request.input_tokens, request.max_output_tokens)
        with self._limiter.slot(task, estimate):
            began_at = time.monotonic()
            answer = self._send(request)
            latency_ms = round((time.monotonic() - began_at) * 1000)
        tokens = tokens_of(answer)
        if tokens:
            self._limiter.correct(estimate, *tokens)
        usage = {**self._usage(str(request.body.get("model", "")), tokens), "latency_ms": latency_ms}
        result = vectors_of(answer) if request.path == EMBEDDINGS else text_of(answer, request)
        if result is None:
            raise TaskFailed("bad_answer", f"{self._name} answers without a choice or a vector.", usage=usage)
        if result.get("finish_reason") == "content_filter":
            message = f"{self._name} withheld the answer because of its content filter."
            raise TaskFailed("content_filter", message, retryable=False, usage=usage)
        return {**result, "model": answer.get("model") or request.body.get("model"), "usage": usage}

    def close(self) -> None:
        """Close the connections to the server. Not needed before the end of the process."""
        self._server.close()

    def _send(self, request: ModelRequest) -> dict[str, Any]:
        try:
            return self._server.post(request.path, request.body)
        except TaskFailed as failure:
            if failure.retry_after_seconds is not None:
                self._limiter.pause(failure.retry_after_seconds)
            elif failure.code == "rate_limited":
                self._limiter.pause(PAUSE_SECONDS)
            raise

    def _usage(self, model: str, tokens: tuple[int, int] | None) -> dict[str, Any]:
        if tokens is None:
            return {}
        usage: dict[str, Any] = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
        prices = self._settings.model(model)
        return {**usage, "cost": prices.cost(*tokens)} if prices else usage


def text_of(answer: Mapping[str, Any], request: ModelRequest) -> dict[str, Any] | None:
    """Read the first choice of a chat answer; None when there is none."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text = message.get("content")
        result = {"text": text if isinstance(text, str) else "", "finish_reason": choice.get("finish_reason")}
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    if message.get("tool_calls"):
        result["tool_calls"] = message["tool_calls"]
    if request.wants_json:
        with suppress(NotJson):  # it stays a text; if the prompt has a schema, the worker reports the problem
            result["json"] = parse_json(result["text"])
    return result


def vectors_of(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the vectors, in the order of their texts; None when there is none."""
    try:
        rows = sorted(answer["data"], key=lambda row: row["index"])
        return {"embeddings": [row["embedding"] for row in rows]} if rows else None
    except (KeyError, TypeError):
        return None


def tokens_of(answer: Mapping[str, Any]) -> tuple[int, int] | None:
    """Read the numbers of input and output tokens; None when the answer does not contain them."""
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return None
    tokens = usage.get("prompt_tokens"), usage.get("completion_tokens") or 0
    return tokens if all(isinstance(count, int) and count >= 0 for count in tokens) else None  # type: ignore[return-value]
