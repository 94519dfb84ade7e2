"""The handler of a connection: what a task asks, in the words of OpenAI's API, and what its answer says.

Knows nothing of HTTP (server.py) nor of waiting (line.py).
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from app.worker.answers import NotJson, parsed
from app.worker.connections.line import Line
from app.worker.connections.server import ModelServer
from app.worker.connections.settings import Connection
from app.worker.task import Task, TaskFailed

CHAT, EMBEDDINGS = "/chat/completions", "/embeddings"
PATHS = {"/v1/chat/completions": CHAT, "/v1/embeddings": EMBEDDINGS}  # by the url of a ready-made line
BYTES_OF_A_TOKEN = 4  # about: it is put right when the answer is there
PAUSE_SECONDS = 1.0  # after a 429 that does not say how long


@dataclass(frozen=True)
class Question:
    """One call: where it goes, and what is sent."""

    path: str
    body: dict[str, Any]

    @property
    def input_tokens(self) -> float:
        return len(orjson.dumps(self.body.get("messages") or self.body.get("input"))) / BYTES_OF_A_TOKEN

    @property
    def most_output_tokens(self) -> float | None:
        if self.path == EMBEDDINGS:
            return 0.0
        most = self.body.get("max_completion_tokens", self.body.get("max_tokens"))
        return float(most) if isinstance(most, int) else None

    @property
    def wants_json(self) -> bool:
        wanted = self.body.get("response_format")
        return isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema")


class ConnectionHandler:
    """Answers tasks of one connection, and ready-made lines if it is the one for them."""

    def __init__(self, name: str, settings: Connection, key: str) -> None:
        self._name = name
        self._settings = settings
        self._server = ModelServer(name, settings, key)
        self._line = Line(name, settings)

    def __call__(self, task: Task) -> dict[str, Any]:
        question = question_of(task.payload, self._settings)
        reckoned = self._line.reckoned(question.input_tokens, question.most_output_tokens)
        with self._line.turn(task, reckoned):
            began_at = time.monotonic()
            answer = self._ask(question)
            latency_ms = round((time.monotonic() - began_at) * 1000)
        tokens = tokens_of(answer)
        if tokens:
            self._line.used(reckoned, *tokens)
        usage = {**self._usage(str(question.body.get("model", "")), tokens), "latency_ms": latency_ms}
        found = vectors_of(answer) if question.path == EMBEDDINGS else text_of(answer, question)
        if found is None:
            raise TaskFailed("bad_answer", f"{self._name} answers without a choice or a vector.", usage=usage)
        if found.get("finish_reason") == "content_filter":
            message = f"{self._name} withheld the answer: its content filter was set off."
            raise TaskFailed("content_filter", message, retryable=False, usage=usage)
        return {**found, "model": answer.get("model") or question.body.get("model"), "usage": usage}

    def close(self) -> None:
        """Close what is open to the server; a process that ends need not."""
        self._server.close()

    def _ask(self, question: Question) -> dict[str, Any]:
        try:
            return self._server.ask(question.path, question.body)
        except TaskFailed as failure:
            if failure.retry_after_seconds is not None:
                self._line.pause(failure.retry_after_seconds)
            elif failure.code == "rate_limited":
                self._line.pause(PAUSE_SECONDS)
            raise

    def _usage(self, model: str, tokens: tuple[int, int] | None) -> dict[str, Any]:
        if tokens is None:
            return {}
        usage: dict[str, Any] = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
        prices = self._settings.model(model)
        return {**usage, "cost": prices.cost(*tokens)} if prices else usage


def question_of(payload: Mapping[str, Any], settings: Connection) -> Question:
    """Say what a task asks. Raises TaskFailed, not retryable, for what cannot be asked here."""
    question = _of_prompt(payload, settings) if "connection" in payload else _of_line(payload)
    if question.body.get("stream"):
        raise TaskFailed("bad_request", "Answers are not streamed here: leave out `stream`.", retryable=False)
    return question


def _of_prompt(payload: Mapping[str, Any], settings: Connection) -> Question:
    model, messages = str(payload.get("model", "")), payload.get("messages") or []
    body = {**(payload.get("params") or {}), "model": model}
    prices = settings.model(model)
    if prices and prices.embeddings:
        text = "\n\n".join(str(message["content"]) for message in messages)
        return Question(EMBEDDINGS, {"encoding_format": "float", **body, "input": text})
    if settings.structured and payload.get("schema") is not None:
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": payload["schema"]}}
        body = {"response_format": wanted, **body}
    return Question(CHAT, {**body, "messages": messages})


def _of_line(payload: Mapping[str, Any]) -> Question:
    path, body = PATHS.get(str(payload.get("url"))), payload.get("body")
    if path is None or not isinstance(body, dict):
        message = f"A line with url {payload.get('url')!r} is not answered here; these are: {', '.join(PATHS)}."
        raise TaskFailed("bad_request", message, retryable=False)
    return Question(path, body)


def text_of(answer: Mapping[str, Any], question: Question) -> dict[str, Any] | None:
    """Read the first choice; None when there is none."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text = message.get("content")
        found = {"text": text if isinstance(text, str) else "", "finish_reason": choice.get("finish_reason")}
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    if message.get("tool_calls"):
        found["tool_calls"] = message["tool_calls"]
    if question.wants_json:
        with suppress(NotJson):  # it stays a text; where a schema was given the worker says what is wrong
            found["json"] = parsed(found["text"])
    return found


def vectors_of(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the vectors, in the order of their texts; None when there is none."""
    try:
        rows = sorted(answer["data"], key=lambda row: row["index"])
        return {"embeddings": [row["embedding"] for row in rows]} if rows else None
    except (KeyError, TypeError):
        return None


def tokens_of(answer: Mapping[str, Any]) -> tuple[int, int] | None:
    """Read the tokens in and out; None when the server does not say."""
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return None
    tokens = usage.get("prompt_tokens"), usage.get("completion_tokens") or 0
    return tokens if all(isinstance(count, int) and count >= 0 for count in tokens) else None  # type: ignore[return-value]
