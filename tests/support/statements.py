"""The statements that services send to the database, without those that are there or not as time goes by."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from app.services import Services


@contextmanager
def counted(services: Services) -> Iterator[list[str]]:
    """Collect the statements that are sent to the database meanwhile, the look at the visitor's token aside."""
    seen: list[str] = []

    def see(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        # The look at the token is kept for half a second, and the number of silent workers for five: their statements
        # are there or not as time goes by.
        statement = context.statement  # as it was written, and not as the EXECUTE of what is prepared
        kept = "api_tokens" in statement or "worker_sightings.worker IN (SELECT" in statement
        if not kept and not statement.startswith("SELECT clock_timestamp()"):
            seen.append(statement)

    event.listen(services.engine, "before_cursor_execute", see)
    yield seen
    event.remove(services.engine, "before_cursor_execute", see)
