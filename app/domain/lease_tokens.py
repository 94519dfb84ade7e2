"""Which lease tokens of a task are current, used or unknown, and what follows for a report with one.

A task keeps its last token and what it was used for, and every earlier one as "token:outcome:answer ", so that
a report sent twice is recognised for ever, and a result that comes too late is kept rather than thrown away.
Pure: no clock, no database.
"""

from dataclasses import dataclass
from enum import Enum

from app.domain.leases import OPEN, Outcome, TaskStatus

RELEASED = "released"  # what a token was used for when its task was handed back


class Standing(Enum):
    """What a report is, by its token."""

    CURRENT = "current"
    REPEATED = "repeated"
    LATE = "late"  # the token was given out, but the report does not count
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Tokens:
    """A task's tokens: the last one with its use and the status answered to it, and the earlier ones."""

    status: TaskStatus
    last: str | None
    outcome: str | None
    answer: str | None
    past: str

    def use_of(self, token: str) -> tuple[str, str] | None:
        """Find what a token was used for and what was answered ('' for nothing); None if it was never given out."""
        if token == self.last:
            return self.outcome or "", self.answer or ""
        for entry in self.past.split():
            given, outcome, answer = entry.split(":")
            if given == token:
                return outcome, answer
        return None

    def is_current(self, token: str) -> bool:
        """Whether the token still holds the task: not leased again, not reported, not handed back, not finished."""
        return token == self.last and self.outcome is None and self.status in OPEN


@dataclass(frozen=True)
class Judgement:
    standing: Standing
    reason: str = ""
    answer: TaskStatus | None = None


def judge(tokens: Tokens, token: str, outcome: Outcome, objection: str | None) -> Judgement:
    """Judge a report by its token; `objection` says why the batch takes no report of this task now, if so.

    A repeated report is recognised first, whatever has become of the batch.
    """
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
    if not tokens.is_current(token):
        again = "was leased again" if token != tokens.last else "used up its attempts and is FAILED"
        return Judgement(Standing.LATE, f"the lease ran out and the task {again}")
    if objection:
        return Judgement(Standing.LATE, objection)
    return Judgement(Standing.CURRENT)


def token_attempt(token: str) -> int:
    """Read the attempt that a token was given out for: it ends in it."""
    return int(token.rsplit(".", 1)[1])
