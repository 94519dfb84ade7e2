"""The tracer of this process. It does nothing until traces are configured: see setup.py.

A batch is one trace. Whether it is sampled, and its ids, follow from its id alone: see batch_trace.py. What is recorded
about a batch that is not sampled is dropped at once.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

Value = str | int | float | bool | list[str]
Attributes = Mapping[str, Value | None]  # None: not known, and left out
Describe = Callable[[], tuple[str, Attributes]]  # the name and the attributes of a span


class Span(Protocol):
    """Something that began, and that is recorded when it ends."""

    @property
    def traceparent(self) -> str:
        """Its place in its trace, as W3C Trace Context writes it: for what belongs to it in other processes."""
        ...

    def end(self, attributes: Attributes = ..., error: str | None = ...) -> None:
        """Record it, with further attributes; `error` is a code of few different values. Does nothing again."""
        ...


class Tracer:
    """Records nothing. What records is a subclass, which is imported if traces are configured."""

    is_on = False

    def traceparent_of(self, batch_id: int) -> str | None:
        """Return the beginning of a batch's trace; None if the batch is not sampled."""
        return None

    def record(self, batch_id: int, name: str, began_ns: int, attributes: Attributes, is_first: bool = False) -> None:
        """Record what has happened with a batch since `began_ns`. With `is_first`, it is the beginning of its trace.

        It is a part of the request that this thread answers, if that is in the batch's trace, else linked to it.
        """

    def samples(self, batch_id: int) -> bool:
        """Whether what happens with a batch is recorded."""
        return False

    def request(self, traceparent: str | None, batch_id: int | None, describe: Describe) -> Span | None:
        """Begin a request that this thread answers; None if it is not sampled, and then it is not described.

        It belongs to the trace of its caller, without one to that of its batch, without one to a trace of its own.
        """
        return None

    def task(self, name: str, traceparent: str | None, attributes: Attributes) -> Span | None:
        """Begin the work on something that another process has started; None without a `traceparent`."""
        return None

    def call(self, name: str, traceparent: str | None, attributes: Attributes) -> Span | None:
        """Begin a call of another service; None without a `traceparent`."""
        return None

    def close(self) -> None:
        """Send what is recorded, within a bound of time, and record nothing more."""


_tracer = Tracer()


def tracer() -> Tracer:
    """Return the tracer of this process."""
    return _tracer


def install(made: Tracer) -> None:
    """Make this the tracer of this process."""
    global _tracer
    _tracer = made
