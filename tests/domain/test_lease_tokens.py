"""What a report is, by the standing of its lease token."""

import sqlite3
from contextlib import closing

import pytest

from app.domain.lease_tokens import Judgement, Standing, Tokens, entries, entry_sql, judge, token_attempt, token_sql
from app.domain.leases import RELEASED, Outcome, TaskStatus

COMPLETED, FAILED = Outcome
PAUSED = "the batch is PAUSED"


def tokens(
    status: str, last: str | None, outcome: str | None = None, answer: str | None = None, past: str = ""
) -> Tokens:
    return Tokens(TaskStatus(status), last, outcome, answer, past)


LEASED = tokens("LEASED", "b.2", past="a.1:: ")
RAN_OUT = tokens("QUEUED", "b.2", past="a.1:: ")
DONE = tokens("COMPLETED", "b.2", "completed", "COMPLETED", past="a.1:failed:QUEUED ")
BACK_IN_LINE = tokens("QUEUED", "b.2", "failed", "QUEUED", past="a.1:: ")
HANDED_BACK = tokens("QUEUED", "b.2", RELEASED, "")
POISONED = tokens("FAILED", "b.2")


@pytest.mark.parametrize(
    ("kept", "token", "outcome", "objection", "standing", "answer"),
    [
        (LEASED, "b.2", COMPLETED, None, Standing.CURRENT, None),  # the plain case
        (RAN_OUT, "b.2", COMPLETED, None, Standing.CURRENT, None),  # ran out, but was given to nobody
        (LEASED, "b.2", COMPLETED, PAUSED, Standing.LATE, None),  # the batch takes no report now
        (LEASED, "a.1", COMPLETED, None, Standing.LATE, None),  # leased again meanwhile
        (LEASED, "z.9", COMPLETED, None, Standing.UNKNOWN, None),  # never given out
        (LEASED, "", COMPLETED, None, Standing.UNKNOWN, None),
        (LEASED, "a", COMPLETED, None, Standing.UNKNOWN, None),  # a part of a token is not a token
        (DONE, "b.2", COMPLETED, None, Standing.REPEATED, "COMPLETED"),  # the same again
        (DONE, "b.2", COMPLETED, PAUSED, Standing.REPEATED, "COMPLETED"),  # even after the batch moved on
        (DONE, "b.2", FAILED, None, Standing.LATE, None),  # the other outcome
        (DONE, "a.1", FAILED, None, Standing.REPEATED, "QUEUED"),  # an earlier report, with its own answer
        (DONE, "a.1", COMPLETED, None, Standing.LATE, None),
        (BACK_IN_LINE, "b.2", FAILED, None, Standing.REPEATED, "QUEUED"),  # a retryable failure, twice
        (HANDED_BACK, "b.2", COMPLETED, None, Standing.LATE, None),
        (POISONED, "b.2", COMPLETED, None, Standing.LATE, None),
        (tokens("QUEUED", None), "a.1", COMPLETED, None, Standing.UNKNOWN, None),  # never leased
    ],
)  # fmt: skip
def test_judge(
    kept: Tokens, token: str, outcome: Outcome, objection: str | None, standing: Standing, answer: str | None
) -> None:
    found = judge(kept, token, outcome, objection)
    assert (found.standing, found.answer) == (standing, answer)
    assert bool(found.reason) == (standing in (Standing.LATE, Standing.UNKNOWN))


@pytest.mark.parametrize(
    ("kept", "token", "reason"),
    [
        (LEASED, "z.9", "this lease token was never given out for this task"),
        (LEASED, "a.1", "the lease ran out and the task was leased again"),
        (POISONED, "b.2", "the lease ran out and the task used up its attempts and is FAILED"),
        (HANDED_BACK, "b.2", "the task was handed back with this lease token"),
        (BACK_IN_LINE, "b.2", "this lease token has reported the task failed already"),
    ],
)
def test_a_report_that_does_not_count_gets_the_reason(kept: Tokens, token: str, reason: str) -> None:
    assert judge(kept, token, COMPLETED, None).reason == reason


def test_the_batch_s_objection_is_the_reason() -> None:
    assert judge(LEASED, "b.2", COMPLETED, PAUSED) == Judgement(Standing.LATE, PAUSED)


def test_a_token_ends_in_its_attempt() -> None:
    assert token_attempt("il.x.y.12") == 12


def test_sql_writes_what_is_read_here() -> None:
    """The format stands once: what the expressions give is what the parsers take apart."""
    with closing(sqlite3.connect(":memory:")) as database:
        (token,) = database.execute(f"SELECT {token_sql(':nonce', '4711', '(1 + 1)')}", {"nonce": "a-_Z"}).fetchone()
        assert (token, token_attempt(token)) == ("a-_Z.4711.2", 2)
        rows = [(token, "failed", "QUEUED"), ("b.2", None, None), ("c.3", RELEASED, None)]
        written = [database.execute(f"SELECT {entry_sql('?', '?', '?')}", row).fetchone()[0] for row in rows]
    assert list(entries("".join(written))) == [(token, "failed", "QUEUED"), ("b.2", "", ""), ("c.3", RELEASED, "")]
    assert list(entries("")) == []
