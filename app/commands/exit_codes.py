"""The exit codes of the commands, and what each failure ends with. Scripts rely on them: docs/command_line.md."""

from enum import IntEnum

import click

from interlock import errors


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_SIGNED_IN = 4
    VERSION_CONFLICT = 5
    TIMEOUT = 6
    SERVICE_AWAY = 7


# The first kind that fits; a refusal that is not named is REFUSED.
_OF_FAILURE: tuple[tuple[type[errors.InterlockError], Exit], ...] = (
    (errors.Unauthenticated, Exit.NOT_SIGNED_IN),
    (errors.VersionMismatch, Exit.VERSION_CONFLICT),
    (errors.TimedOut, Exit.TIMEOUT),
    (errors.ServiceAway, Exit.SERVICE_AWAY),
    (errors.Busy, Exit.SERVICE_AWAY),
    (errors.Unavailable, Exit.SERVICE_AWAY),
    (errors.InternalError, Exit.FAILED),
    (errors.Refusal, Exit.REFUSED),
)


class Ended(click.ClickException):
    """The end of a command with a code of its own; the message is a sentence on stderr."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = code.value  # type: ignore[misc]  # click reads it from the instance


def exit_code_of(failure: errors.InterlockError) -> Exit:
    """Return the exit code of a failure."""
    return next((code for kind, code in _OF_FAILURE if isinstance(failure, kind)), Exit.FAILED)


def sentence_of(failure: errors.InterlockError) -> str:
    """Say what failed: the reason, what each field had wrong, and what is possible instead."""
    if not isinstance(failure, errors.Refusal):
        return str(failure)
    parts = [failure.detail]
    if wrong := failure.problem.get("errors"):
        parts += [f"{place}: {reason}" for place, reason in _leaves(wrong)][:20]
    if possible := failure.problem.get("allowed_actions"):
        parts.append(f"Possible now: {', '.join(map(str, possible))}.")
    return "\n".join(parts)


def _leaves(wrong: object, place: str = "") -> list[tuple[str, str]]:
    if isinstance(wrong, dict):
        return [
            leaf for key, value in wrong.items() for leaf in _leaves(value, f"{place}.{key}" if place else str(key))
        ]
    if isinstance(wrong, list):
        return [leaf for value in wrong for leaf in _leaves(value, place)]
    return [(place, str(wrong))]
