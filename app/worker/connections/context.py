"""Refuses a request that does not fit into the context of its model, before it is sent and paid for."""

from app.worker.connections.model_request import ModelRequest
from app.worker.connections.settings import Connection
from app.worker.connections.token_estimate import tokens_of_input
from app.worker.task import TaskFailed


def check_context(name: str, request: ModelRequest, settings: Connection) -> None:
    """Compare the estimate of a request with the model's `context_tokens`. Raises TaskFailed, not retryable."""
    model = settings.model(request.model)
    if model is None or model.context_tokens is None:
        return
    asked, answer = tokens_of_input(request.input), int(request.max_output_tokens or 0)
    if asked + answer <= model.context_tokens:
        return
    room = f" and up to {answer:,} of the answer" if answer else ""
    raise TaskFailed(
        "context_exceeded",
        f"The request has about {asked:,} tokens{room}; {name}/{request.model} takes {model.context_tokens:,} "
        "(context_tokens of the connection). Nothing was sent. Shorten the document, or choose another model.",
        retryable=False,
    )
