"""What the client raises: one exception for each code of a refusal, and those for what is no answer of the service."""

from collections.abc import Mapping
from typing import Any


class InterlockError(Exception):
    """Everything that the client raises."""


class ServiceAway(InterlockError):
    """The service did not answer, or what stands before it said so."""


class NotInterlock(InterlockError):
    """The answer is not one of Interlock: is the address right?"""


class TimedOut(InterlockError):
    """What was waited for did not happen in time."""


class Refusal(InterlockError):
    """The service refused. `code` is stable, `detail` a sentence, `problem` the whole answer.

    A code that this client does not know is a plain Refusal.
    """

    code = ""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code", self.code))
        self.detail = str(problem.get("detail") or problem.get("title") or f"The answer was {status}.")
        super().__init__(self.detail)


class NotJson(Refusal):
    code = "not_json"


class Unauthenticated(Refusal):
    """There is no valid token."""

    code = "unauthenticated"


class Forbidden(Refusal):
    """The role of the token may not do this."""

    code = "forbidden"


class NotFound(Refusal):
    code = "not_found"


class MethodNotAllowed(Refusal):
    code = "method_not_allowed"


class StateRefused(Refusal):
    """The table has no such transition from the batch's state; `problem["allowed_actions"]` says what is possible."""

    code = "state_refused"


class GuardRefused(Refusal):
    """The table has the transition, but its guard objects."""

    code = "guard_refused"


class MadeOfReadyTasks(Refusal):
    code = "made_of_ready_tasks"


class InputInUse(Refusal):
    code = "input_in_use"


class ReportRefused(Refusal):
    code = "report_refused"


class IdempotencyKeyInUse(Refusal):
    code = "idempotency_key_in_use"


class IdempotencyKeyReused(Refusal):
    code = "idempotency_key_reused"


class IdempotencyAnswerErased(Refusal):
    code = "idempotency_answer_erased"


class VersionMismatch(Refusal):
    """The batch has another version than `if_version`."""

    code = "version_mismatch"


class TooLarge(Refusal):
    code = "too_large"


class UnsupportedMediaType(Refusal):
    code = "unsupported_media_type"


class Invalid(Refusal):
    """The request is wrong; `problem["errors"]` names each field."""

    code = "invalid"


class UnknownAction(Refusal):
    code = "unknown_action"


class InternalError(Refusal):
    """A fault of the service."""

    code = "internal_error"


class Busy(Refusal):
    """Somebody else holds what is needed. Nothing was changed."""

    code = "busy"


class Unavailable(Refusal):
    """The service's database is away. Nothing was changed."""

    code = "unavailable"


def codes() -> list[str]:
    """List each code that has an exception of its own."""
    return list(_BY_CODE)


def refusal(status: int, problem: Mapping[str, Any]) -> Refusal:
    """Make the exception of a problem document."""
    return _BY_CODE.get(str(problem.get("code")), Refusal)(status, problem)


_BY_CODE = {kind.code: kind for kind in Refusal.__subclasses__()}
