"""The handler of a connection: sends the request of a task to its model server and reads the result in the answer."""

import time
from contextlib import suppress
from functools import partial
from typing import Any

from app.worker.answers.json_answers import NotJson, parse_json
from app.worker.connections import body_errors
from app.worker.connections.answer import Answer, objection
from app.worker.connections.call_failed import CallFailed, ErrorClass
from app.worker.connections.call_span import CallSpan
from app.worker.connections.calls import Calls
from app.worker.connections.circuit import Circuit
from app.worker.connections.context.fitting import fitting_request
from app.worker.connections.endpoints import EMBEDDINGS, READERS
from app.worker.connections.evidence import LONGEST_PAUSE_SECONDS, Call
from app.worker.connections.failures import of_status, without_key
from app.worker.connections.model_request import ModelRequest
from app.worker.connections.model_server import ModelServer, Reply
from app.worker.connections.quotes import without_quotes
from app.worker.connections.rate_limiter import RateLimiter
from app.worker.connections.settings import Connection
from app.worker.connections.tokens import Tokens, tokens_of
from app.worker.task import Task, TaskFailed

PAUSE_SECONDS = 1.0  # after a 429 without Retry-After


class ConnectionHandler:
    """Handles the tasks of one connection, and ready-made tasks if the file of connections says so."""

    def __init__(self, name: str, settings: Connection, key: str) -> None:
        self._name = name
        self._key = key
        self._settings = settings
        self._server = ModelServer(name, settings, key)
        self._limiter = RateLimiter(name, settings)
        self.circuit = Circuit(name)
        self._calls = Calls(self.circuit)
        self.endpoints = [f"/v1{path}" for path in READERS]  # of ready-made tasks

    def __call__(self, task: Task) -> dict[str, Any]:
        request, cut = fitting_request(self._name, task.payload, self._settings)
        estimate = self._limiter.estimate(request.input_tokens, request.max_output_tokens)
        most_calls = partial(self._calls.most, task, request.model)
        is_repeat = False
        while True:
            with self._limiter.slot(task, estimate, most_calls):
                call = self._calls.begin(task, request.model, is_repeat)
                try:
                    answer = self._answer(task, request, call, estimate)
                    return answer if cut is None else {**answer, "document_cut": cut}
                except CallFailed as caught:
                    failure = caught
                finally:
                    self._calls.ended()
            self._calls.failed(task, call, failure)
            is_repeat = failure.error_class == ErrorClass.OUTAGE

    def check(self) -> None:
        """Call the server without a task, and report to the service whether it is there."""
        self.circuit.checked(self._server.check())

    def close(self) -> None:
        """Close the connections to the server. Not needed before the end of the process."""
        self._server.close()

    def _answer(self, task: Task, request: ModelRequest, call: Call, estimate: float) -> dict[str, Any]:
        """Make a call and return the result. Raises TaskFailed; CallFailed if it may be the connection's failure."""
        usage: dict[str, Any] = {}  # empty until there is an answer
        began_at = time.monotonic()
        try:
            with CallSpan(task, self._name, self._settings, request) as span:
                reply = self._send(request)
                usage["latency_ms"] = round((time.monotonic() - began_at) * 1000)
                tokens = tokens_of(reply.body)
                span.answered(reply.body, tokens)
                if tokens:
                    self._limiter.correct(estimate, tokens.input, tokens.output)
                    usage |= self._usage(request.model, tokens)
                answer = self._read(request, reply, tokens)
        except TaskFailed as caught:
            failure = self._judged(caught, request, usage)
            failure.refusal = caught.refusal if request.ready_made else None
            if not isinstance(failure, CallFailed):
                self._calls.succeeded(call)  # the server has answered
            raise failure from None
        self._calls.succeeded(call)
        if request.ready_made:
            return {"status_code": 200, "request_id": reply.request_id, "body": reply.body, "usage": usage}
        has_schema = task.payload.get("schema") is not None  # then the check of the result finds the JSON
        model = reply.body.get("model") or request.model
        return {**_result(request, answer, has_schema), "model": model, "usage": usage, "body": reply.body}

    def _send(self, request: ModelRequest) -> Reply:
        """Send a request. Raises TaskFailed if there is no answer; a body with only an error counts as its status."""
        reply = self._server.post(request.path, request.body)
        error = body_errors.within(reply.body)
        if error and READERS[request.path](reply.body) is None and tokens_of(reply.body) is None:
            raise of_status(self._name, error.status, error, reply.headers)
        return reply

    def _read(self, request: ModelRequest, reply: Reply, tokens: Tokens | None) -> Answer:
        """Read the answer in a body. Raises TaskFailed if the body has none, or one that does not count."""
        answer = READERS[request.path](reply.body)
        error = body_errors.within(reply.body)
        if error:
            failure = of_status(self._name, error.status, error, reply.headers)
            # The answer had begun, so the request was accepted: another attempt may succeed.
            raise TaskFailed(failure.code if failure.retryable else "server_error", failure.message)
        if answer is None:
            raise TaskFailed("bad_answer", f"{self._name} answers without a choice or a vector.")
        problem = objection(self._name, answer, tokens)
        if problem and (problem.retryable or not request.ready_made):  # the sender of a line gets the body as it is
            raise problem
        return answer

    def _judged(self, failure: TaskFailed, request: ModelRequest, usage: dict[str, Any]) -> TaskFailed:
        """Pause the connection if the failure requires it, decide about an unknown model, and add the usage."""
        message = without_key(self._key, failure.message)
        if isinstance(failure, CallFailed):
            message = without_quotes(message, request.body)
            if failure.error_class == ErrorClass.MODEL and self._calls.has_succeeded(request.model):
                failure = TaskFailed(failure.code, message, failure.retryable)
            else:
                failure.model = request.model if failure.error_class == ErrorClass.MODEL else None
                self._pause(failure)
        failure.message, failure.usage = message, usage or None
        return failure

    def _pause(self, failure: CallFailed) -> None:
        seconds = failure.wait_seconds
        if seconds is None and failure.error_class == ErrorClass.RATE_LIMIT:
            seconds = PAUSE_SECONDS
        if seconds is not None and seconds <= LONGEST_PAUSE_SECONDS:
            self._limiter.pause(seconds)

    def _usage(self, model: str, tokens: Tokens) -> dict[str, Any]:
        prices = self._settings.model(model)
        return {**tokens.usage, "cost": prices.cost(tokens)} if prices else tokens.usage


def _result(request: ModelRequest, answer: Answer, has_schema: bool) -> dict[str, Any]:
    """Make the result of a prompt: its text, and its JSON if the request wants JSON."""
    if request.path == EMBEDDINGS:
        return {}
    result: dict[str, Any] = {"text": answer.text, "finish_reason": answer.finish_reason}
    if request.wants_json and not has_schema:
        with suppress(NotJson):  # it stays a text
            result["json"] = parse_json(answer.text)
    return result
