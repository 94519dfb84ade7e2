"""Every refusal of the service: a stable code, the HTTP status it leaves with, a sentence and the facts.

Refusals travel as exceptions to one error handler at the edge, or as values inside a drain of the request
queue. This module imports nothing of the project.
"""

from collections.abc import Iterable
from typing import Any


class Refusal(Exception):
    """A request that was understood and answered no. `detail` is the reason, `facts` whatever helps."""

    code = "refused"
    status = 409
    title = "The request was refused"
    retry_after_seconds: int | None = None

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


def titles() -> dict[str, str]:
    """The title of every refusal, by its code."""
    found, classes = {}, [Refusal]
    while classes:
        kind = classes.pop()
        found[kind.code] = kind.title
        classes += kind.__subclasses__()
    return found


class NotJson(Refusal):
    code, status, title = "not_json", 400, "The body is not JSON"


class Unauthenticated(Refusal):
    code, status, title = "unauthenticated", 401, "A valid token is needed"


class Forbidden(Refusal):
    code, status, title = "forbidden", 403, "Your role may not do this"


class NotFound(Refusal):
    code, status, title = "not_found", 404, "There is no such thing"

    def __init__(self, noun: str, ident: object, reason: str = "") -> None:
        super().__init__(f"There is no {noun} {ident}{reason and ': '}{reason}.")


class TooLarge(Refusal):
    code, status, title = "too_large", 413, "The request is too large"


class UnsupportedMediaType(Refusal):
    code, status, title = "unsupported_media_type", 415, "This media type is not understood here"


class Invalid(Refusal):
    """`errors` names each field and what is wrong with it."""

    code, status, title = "invalid", 422, "The request is not valid"


class UnknownAction(Refusal):
    code, status, title = "unknown_action", 422, "There is no such action"

    def __init__(self, action: str, valid_actions: Iterable[str], is_event: bool = False) -> None:
        what = "an event: the service raises it itself" if is_event else "no action"
        super().__init__(
            f"{action!r} is {what}. Actions are: {', '.join(valid_actions)}.",
            valid_actions=list(valid_actions),
            errors={"action": ["is not an action"]},
        )


class StateRefused(Refusal):
    """The table has no such transition from the batch's state."""

    code, title = "state_refused", "Not in this state"

    def __init__(self, trigger: str, state: str, sources: Iterable[str]) -> None:
        wanted = " or ".join(sources)
        super().__init__(f"{trigger} needs a batch that is {wanted}; this one is {state}.")


class GuardRefused(Refusal):
    """The table has the transition, but its guard objects."""

    code, title = "guard_refused", "Not as the batch stands"

    def __init__(self, trigger: str, state: str, objection: str) -> None:
        super().__init__(f"{trigger} is not possible: {objection}.")


class VersionMismatch(Refusal):
    code, status, title = "version_mismatch", 412, "The batch has changed"

    def __init__(self, wanted: int, version: int) -> None:
        super().__init__(f"You expected version {wanted}; the batch is at version {version}.")


class ReportRefused(Refusal):
    """A worker's report that does not count; if its token was once given out, the result is kept."""

    code, title = "report_refused", "The report does not count"


class KeyInUse(Refusal):
    code, title = "idempotency_key_in_use", "The first request with this key is still being decided"
    retry_after_seconds = 1


class KeyReused(Refusal):
    code, status, title = "idempotency_key_reused", 422, "This Idempotency-Key came with another request"


class AnswerErased(Refusal):
    code, title = "idempotency_answer_erased", "The answer to this Idempotency-Key had content that was erased"


class Busy(Refusal):
    """Somebody else holds what is needed; nothing was changed."""

    code, status, title = "busy", 503, "Busy: try again in a moment"
    retry_after_seconds = 1


class Locked(Busy):
    """Somebody holds a row's lock, and did not let go in time."""


class Unavailable(Refusal):
    code, status, title = "unavailable", 503, "The database is away"
    retry_after_seconds = 2
