"""A failed call of which it is not yet decided whether the task or the connection is the cause."""

from enum import StrEnum

from app.worker.task import TaskFailed


class ErrorClass(StrEnum):
    """Why a connection is closed."""

    OUTAGE = "outage"  # no answer, a timeout, a 5xx
    RATE_LIMIT = "rate_limit"
    ACCESS = "access"  # the key is not accepted, or its account is empty
    MODEL = "model"  # the server does not know the model


class CallFailed(TaskFailed):
    """Raised by a call; app.worker.connections.circuit decides whose failure it is.

    `is_certain`: it is the connection's beyond doubt; with `model`, it is this model's alone. `was_received`: the
    server had the request, so the request may be the cause. `wait_seconds` is the server's Retry-After: the
    connection waits, not the task.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        code: str,
        message: str,
        *,
        retryable: bool = True,
        is_certain: bool = False,
        was_received: bool = False,
        wait_seconds: float | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(code, message, retryable)
        self.error_class = error_class
        self.is_certain = is_certain
        self.was_received = was_received
        self.wait_seconds = wait_seconds
        self.model = model
