"""The words of digests, and what may be shown of a URL of apprise."""

from typing import Any

import pytest

from app.domain.webhook import digests
from app.domain.webhook.message_types import MessageType
from app.domain.webhook.notification_urls import SCHEMAS, masked, objection_to_notification_url, without_secrets

AT = "2026-11-26T02:14:07.52Z"
CHANGE = {
    "batch_id": 7, "name": "contracts", "version": 5, "run": 1, "trigger": "pause", "from_state": "ANALYZING",
    "to_state": "PAUSED", "actor": "system:breaker", "reason": "The run has cost 10.01.", "failure": None,
}  # fmt: skip
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "batch.paused": (
        CHANGE, "Batch 7 contracts is PAUSED (pause by system:breaker, version 5): The run has cost 10.01.",
    ),
    "batch.failed": (
        {**CHANGE, "to_state": "FAILED", "trigger": "critical_error", "reason": None, "failure": "all_tasks_failed"},
        "Batch 7 contracts is FAILED (critical_error by system:breaker, version 5, all_tasks_failed).",
    ),
    "limit.near": (
        {"batch_id": 7, "name": "contracts", "run": 1, "limit": "max_cost", "used": 8.1, "allowed": 10},
        "Batch 7 contracts, run 1, has used 8.1 of 10 (max_cost).",
    ),
    "connection.closed": (
        {"connection": "local", "model": "m", "state": "CLOSED", "class": "x", "reason": "401", "since": AT},
        "Connection m of local is CLOSED: 401",
    ),
    "connection.open": (
        {"connection": "local", "model": "", "state": "OPEN", "class": None, "reason": None, "since": AT},
        "Connection local is OPEN.",
    ),
    "worker.silent": ({"worker": "w1", "last_seen_at": AT}, f"Worker w1 was last seen at {AT}."),
    "webhook.test": ({"webhook_id": 1}, "This message tries the webhook."),
}  # fmt: skip


@pytest.mark.parametrize("of_type", CASES)
def test_a_line(of_type: str) -> None:
    data, line = CASES[of_type]
    assert digests.text([{"type": of_type, "timestamp": AT, "data": data}]) == f"{AT} {line}"


def test_each_type_has_its_line() -> None:
    for of_type in MessageType:
        data = CASES.get(of_type, CASES["batch.paused"])[0]
        assert digests.text([{"type": of_type, "timestamp": AT, "data": data}])


def test_what_callers_write_calls_nobody_and_is_no_link() -> None:
    data = {**CHANGE, "name": "<!channel> @here\n[x](http://evil)", "reason": "*" * 1_000 + "\x1b[0m"}
    text = digests.text([{"type": "batch.paused", "timestamp": AT, "data": data}])
    assert "\n" not in text
    assert not set("<>@[]\x1b") & set(text)
    assert len(text) < 600


def test_more_messages_than_lines_are_counted() -> None:
    many = [{"type": "batch.paused", "timestamp": AT, "data": CHANGE}] * (digests.MOST_LINES + 3)
    assert digests.title(many) == f"Interlock: {len(many)} messages"
    assert digests.text(many).count("\n") == digests.MOST_LINES
    assert digests.text(many).endswith("\nAnd 3 batch.paused.")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "slack://..."),
        ("tgram://123456789:ABCdefGhi/12315544", "tgram://..."),
        ("pagerduty://integrationkey@apikey", "pagerduty://..."),
        ("mailtos://jane:s3cret@example.com?to=a@b.de", "mailtos://example.com/..."),
        ("jsons://user:s3cret@ops.example.com:8443/hook/s3cret?token=s3cret", "jsons://ops.example.com/..."),
        ("ntfys://topic/other", "ntfys://..."),
    ],
)
def test_what_may_be_shown(url: str, shown: str) -> None:
    assert objection_to_notification_url(url) is None
    assert masked(url) == shown
    said = without_secrets(f"Failed to send to {url} as {url.partition('://')[2]}", url)
    for secret in ("T1JJ3T3L2", "TIiajkdnlazkcOXrIdevi7FQ", "ABCdefGhi", "apikey", "s3cret", "12315544", "topic"):
        assert secret not in said.replace("topics", "")


def test_an_escaped_secret_is_taken_out_as_it_is_written_and_as_it_is_meant() -> None:
    url = "mailto://jane:p%40ss%2Fword@example.com"
    assert without_secrets("p@ss/word p%40ss%2Fword example.com", url) == "... ... example.com"


def test_the_schemas_are_in_their_order() -> None:
    assert list(SCHEMAS) == sorted(SCHEMAS)
