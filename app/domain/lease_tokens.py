"""Lease tokens: their format, which of a task's tokens are current, used or unknown, and what follows for a report.

A task keeps its last token and what it was used for, and beside it every earlier one. A report that is sent twice
is thus always recognised, and a result that comes too late is kept, not thrown away. Pure: no clock, no database.

A token is "nonce.task id.attempt". The earlier tokens are one text of entries "token:used for:answer ", each with
the space at its end. SQL writes both when it leases a task; the expressions for that stand here, beside the parsers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from app.domain.leases import OPEN, RELEASED, Outcome, TaskStatus

_IN_TOKEN, _IN_ENTRY, _AFTER_ENTRY = ".", ":", " "


def token_sql(nonce: str, task_id: str, attempt: str) -> str:
    """Write the SQL expression of a new token, from the expressions of its parts."""
    return f"{nonce} || '{_IN_TOKEN}' || {task_id} || '{_IN_TOKEN}' || {attempt}"


def token_attempt(token: str) -> int:
    """Read the attempt for which a token was given out."""
    return int(token.rsplit(_IN_TOKEN, 1)[1])


def entry_sql(token: str, used_for: str, answer: str) -> str:
    """Write the SQL expression of an earlier token's entry, from those of its parts; the last two may be null."""
    return (
        f"{token} || '{_IN_ENTRY}' || coalesce({used_for}, '') || '{_IN_ENTRY}' || coalesce({answer}, '')"
        f" || '{_AFTER_ENTRY}'"
    )


def entries(past: str) -> Iterator[tuple[str, str, str]]:
    """Read the earlier tokens, each with what it was used for and what was answered ('' for nothing)."""
    for entry in past.split(_AFTER_ENTRY)[:-1]:
        token, used_for, answer = entry.split(_IN_ENTRY)
        yield token, used_for, answer


class Standing(Enum):
    """What a report is, by its token."""

    CURRENT = "current"
    REPEATED = "repeated"
    LATE = "late"  # the token was given out, but the report does not count
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Tokens:
    """A task's tokens: the last one with its use and the status answered to it, and the earlier ones."""

    status: TaskStatus
    lease_token: str | None
    lease_outcome: str | None
    lease_answer: str | None
    past_leases: str

    def use_of(self, token: str) -> tuple[str, str] | None:
        """Find what a token was used for and what was answered ('' for nothing); None if it was never given out."""
        if token == self.lease_token:
            return self.lease_outcome or "", self.lease_answer or ""
        earlier = entries(self.past_leases)
        return next(((used_for, answer) for given, used_for, answer in earlier if given == token), None)

    def is_current(self, token: str) -> bool:
        """Whether the token still holds the task: not leased again, not reported, not handed back, not finished."""
        return token == self.lease_token and self.lease_outcome is None and self.status in OPEN


class Judgement(NamedTuple):
    standing: Standing
    reason: str = ""
    answer: TaskStatus | None = None


_CURRENT = Judgement(Standing.CURRENT)


def judge(tokens: Tokens, token: str, outcome: Outcome, objection: str | None) -> Judgement:
    """Judge a report by its token; `objection` is why the batch takes no report of this task now, or None.

    A repeated report is recognised in whatever state its batch is now.
    """
    if tokens.is_current(token):
        return Judgement(Standing.LATE, objection) if objection else _CURRENT
    use = tokens.use_of(token)
    if use is None:
        return Judgement(Standing.UNKNOWN, "this lease token was never given out for this task")
    used_for, answer = use
    if used_for == outcome:
        return Judgement(Standing.REPEATED, answer=TaskStatus(answer))
    if used_for == RELEASED:
        return Judgement(Standing.LATE, "the task was handed back with this lease token")
    if used_for:
        return Judgement(Standing.LATE, f"this lease token has reported the task {used_for} already")
    if token == tokens.lease_token and tokens.status is TaskStatus.COMPLETED:  # no report of this lease completed it
        return Judgement(Standing.LATE, "the document of the task was erased")
    again = "was leased again" if token != tokens.lease_token else "used up its attempts and is FAILED"
    return Judgement(Standing.LATE, f"the lease ran out and the task {again}")
