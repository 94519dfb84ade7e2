"""The outbox: bulk requests, retries with the same bytes, and what happens to a refused report."""

import threading
import time
from collections.abc import Iterator

import pytest
from stamina.instrumentation import set_on_retry_hooks
from structlog.testing import capture_logs

from app.worker.reporting import outbox as module
from app.worker.reporting import unsent_reports
from app.worker.reporting.outbox import Outbox
from app.worker.reporting.reports import Report, completed
from app.worker.service import retries
from app.worker.service.client import Client
from app.worker.service.service_answers import Unauthorized
from app.worker.task import Task
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.conftest import others
from tests.worker.fake_service import FakeService


class Sending:
    """An outbox with its running thread, and the lease tokens that it has settled."""

    def __init__(self, client: Client, max_reports: int = 10, wait_seconds: float = 0.05) -> None:
        self.settled: list[str] = []
        self.error: Exception | None = None
        self.outbox = Outbox(client, self.settled.extend, max_reports, wait_seconds)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.outbox.run()
        except Exception as error:
            self.error = error

    def finish(self, seconds: float = LIMIT_SECONDS) -> None:
        self.outbox.finish(time.monotonic() + seconds)
        self.thread.join(LIMIT_SECONDS)
        assert not self.thread.is_alive()


@pytest.fixture
def sending(client: Client) -> Iterator[Sending]:
    made = Sending(client)
    yield made
    made.finish(0.0)


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """The seconds that are waited before each further attempt of a call."""
    seen: list[float] = []
    set_on_retry_hooks([lambda attempt: seen.append(attempt.wait_for)])
    yield seen
    set_on_retry_hooks(None)


def leased(service: FakeService, client: Client, amount: int, result: object = None) -> list[Report]:
    service.add(amount)
    return [
        completed(Task(row["id"], 1, 1, "ANALYZE", 1, {}, row["lease_token"]), result or {"text": row["id"]})
        for row in client.lease(amount, 0).rows
    ]


def put(sending: Sending, reports: list[Report]) -> None:
    for report in reports:
        sending.outbox.put(report)


def test_reports_go_in_bulk(service: FakeService, client: Client, sending: Sending) -> None:
    put(sending, leased(service, client, 25))
    service.wait_until_finished()
    wait_until(lambda: len(sending.settled) == 25)
    assert 3 <= len(service.calls["report"]) <= 6
    assert max(len(body["reports"]) for body in service.calls["report"]) == 10
    assert len(sending.outbox) == 0


def test_a_single_report_waits_no_longer_than_configured(service: FakeService, client: Client) -> None:
    sending = Sending(client, max_reports=1000, wait_seconds=0.3)
    put(sending, leased(service, client, 1))
    service.wait_until_finished()  # though it is one of a thousand that there is room for
    assert [len(body["reports"]) for body in service.calls["report"]] == [1]
    sending.finish()


@pytest.mark.parametrize("order", ["drop_before", "drop_after", 503, 429, 500, (503, {"Retry_After": "0.1"})])
def test_the_same_bytes_again_until_they_are_answered(
    service: FakeService, client: Client, sending: Sending, order: object
) -> None:
    service.order("report", order, order, order)
    put(sending, leased(service, client, 10))
    wait_until(lambda: len(sending.settled) == 10)
    assert len(service.raw_reports) == 4
    assert len(set(service.raw_reports)) == 1
    assert all(len(task.reports) == 1 for task in service.tasks.values())


def test_retry_after_is_respected(service: FakeService, client: Client, sending: Sending, waits: list[float]) -> None:
    service.order("report", (429, {"Retry_After": "1"}))
    put(sending, leased(service, client, 1))
    service.wait_until_finished()
    assert waits == [1.0]


def test_a_service_that_is_away_for_long_loses_nothing(
    service: FakeService, client: Client, sending: Sending, waits: list[float]
) -> None:
    reports = leased(service, client, 30)
    service.stop()
    put(sending, reports)
    wait_until(lambda: len(waits) >= 5)
    assert len(sending.outbox) == 30
    service.start()
    wait_until(lambda: len(sending.settled) == 30)
    assert service.statuses() == {"COMPLETED": 30}


def test_reports_that_do_not_count_are_logged_and_dropped(
    service: FakeService, client: Client, sending: Sending
) -> None:
    late, good = leased(service, client, 2)
    service.tasks["1"].token = "t.1.2"
    unknown = Report("999", "t.999.1", good.body.replace(b'"2"', b'"999"'), has_result=True)
    with capture_logs() as logs:
        put(sending, [late, unknown, good])
        wait_until(lambda: len(sending.settled) == 3)
    logged = {line["task_id"]: line["status"] for line in logs if line["event"] == "report_not_counted"}
    assert logged == {"1": 409, "999": 404}
    assert service.tasks["2"].status == "COMPLETED"
    assert len(service.calls["report"]) == 1


@pytest.mark.parametrize("status", [413, 422])
def test_the_one_report_that_is_refused_is_found_and_fails_for_good(
    service: FakeService, client: Client, sending: Sending, status: int
) -> None:
    bad = {"text": "BAD"}
    reports = leased(service, client, 6) + leased(service, client, 1, bad) + leased(service, client, 3)
    service.order("report", lambda body: status if any(r.get("result") == bad for r in body["reports"]) else None)
    put(sending, reports)
    wait_until(lambda: len(sending.settled) == 10)
    assert service.statuses() == {"COMPLETED": 9, "FAILED": 1}
    error = service.tasks["7"].reports[0]["error"]
    assert error["code"] == "report_refused"
    assert str(status) in error["message"]
    assert service.tasks["7"].reports[0]["retryable"] is False
    assert len(service.calls["report"]) <= 12
    assert len(sending.outbox) == 0


def test_a_service_that_refuses_everything_is_not_called_for_ever(
    service: FakeService, client: Client, sending: Sending
) -> None:
    service.order("report", lambda _: 422)
    put(sending, leased(service, client, 4))
    wait_until(lambda: len(sending.settled) == 4)
    assert len(service.calls["report"]) == 1 + 2 + 4 + 4


@pytest.mark.parametrize("fault", [500, "drop_before", (403, {"Content_Type": "text/html"})])
def test_a_report_on_which_the_service_breaks_does_not_hold_the_others(
    service: FakeService, client: Client, sending: Sending, monkeypatch: pytest.MonkeyPatch, fault: object
) -> None:
    """Nor is it replaced or dropped: it is tried at longer intervals. A proxy may refuse one report, too."""
    monkeypatch.setattr(unsent_reports, "FIRST_ASIDE_SECONDS", 0.05)
    bad = {"text": "BAD"}
    reports = leased(service, client, 1, bad) + leased(service, client, 5)
    service.order("report", lambda body: fault if any(r.get("result") == bad for r in body["reports"]) else None)
    with capture_logs() as logs, others(client):
        put(sending, reports)
        wait_until(lambda: len(sending.settled) == 5)
        assert service.statuses() == {"COMPLETED": 5, "LEASED": 1}
        wait_until(lambda: len([line for line in logs if line["event"] == "report_set_aside"]) >= 4)
        put(sending, leased(service, client, 3))
        wait_until(lambda: len(sending.settled) == 8)
    assert len(sending.outbox) == 1
    waits = [line["next_try_seconds"] for line in logs if "next_try_seconds" in line]
    assert waits[:3] == [0.1, 0.2, 0.4]
    service.orders["report"].clear()
    wait_until(lambda: len(sending.settled) == 9)
    assert service.tasks["1"].reports[0]["result"] == bad
    assert service.statuses() == {"COMPLETED": 9}


@pytest.mark.parametrize("fault", [500, "page", (403, {"Content_Type": "text/html"})])
def test_while_every_call_fails_the_same_report_is_sent_again(
    service: FakeService, client: Client, sending: Sending, fault: object
) -> None:
    for call in ("report", "lease", "heartbeat"):
        service.order(call, lambda _: fault)
    service.orders["lease"].clear()
    reports = leased(service, client, 4)
    service.order("lease", lambda _: fault)
    with capture_logs() as logs:
        put(sending, reports)
        wait_until(lambda: len(service.raw_reports) > 3 * module.FAULTS)
    assert "report_set_aside" not in [line["event"] for line in logs]
    for call in ("report", "lease", "heartbeat"):
        service.orders[call].clear()
    wait_until(lambda: len(sending.settled) == 4)
    assert set(service.raw_reports[1:]) == {service.raw_reports[-1]}
    assert service.statuses() == {"COMPLETED": 4}


def test_a_report_that_a_proxy_finds_too_large_is_set_aside(
    service: FakeService, client: Client, sending: Sending
) -> None:
    too_large = (413, {"Content_Type": "text/html"})
    large = {"text": "x" * 5000}
    reports = leased(service, client, 3) + leased(service, client, 1, large) + leased(service, client, 3)
    service.order("report", lambda body: too_large if len(str(body)) > 4000 else None)
    with capture_logs() as logs, others(client):
        put(sending, reports)
        wait_until(lambda: len(sending.settled) == 6)
        wait_until(lambda: "report_set_aside" in [line["event"] for line in logs])
    assert "report_refused" not in [line["event"] for line in logs]
    assert len(sending.outbox) == 1


def test_another_refusal_of_the_service_replaces_no_answer(
    service: FakeService, client: Client, sending: Sending
) -> None:
    service.order("report", 404, 409, 405)
    put(sending, leased(service, client, 3))
    wait_until(lambda: len(sending.settled) == 3)
    assert service.statuses() == {"COMPLETED": 3}
    assert len(service.raw_reports) == 4


def test_verdicts_on_other_tasks_are_no_answer(service: FakeService, client: Client, sending: Sending) -> None:
    reports = leased(service, client, 2)
    answered = iter([{"reports": []}, {"reports": [{"task_id": "8", "status": 200}, {"task_id": "9", "status": 200}]}])
    judge = service.report
    service.report = lambda body: next(answered, None) or judge(body)
    put(sending, reports)
    wait_until(lambda: len(sending.settled) == 2)
    assert service.statuses() == {"COMPLETED": 2}


def test_large_reports_do_not_share_a_bulk(
    service: FakeService, client: Client, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent_reports, "MAX_BULK_BYTES", 2500)
    put(sending, leased(service, client, 6, {"text": "x" * 1000}))
    wait_until(lambda: len(sending.settled) == 6)
    assert [len(body["reports"]) for body in service.calls["report"]] == [2, 2, 2]


def test_an_invalid_token_ends_it_and_the_answers_are_counted(
    service: FakeService, client: Client, sending: Sending
) -> None:
    reports = leased(service, client, 3)
    service.token = "another"
    put(sending, reports)
    wait_until(lambda: not sending.thread.is_alive())
    assert isinstance(sending.error, Unauthorized)
    assert len(sending.outbox) == 3


def test_at_the_end_what_is_left_is_sent_at_once(service: FakeService, client: Client) -> None:
    sending = Sending(client, max_reports=1000, wait_seconds=2 * LIMIT_SECONDS)
    put(sending, leased(service, client, 3))
    client.lease(1, 0)  # meanwhile other calls are made and answered
    assert service.calls["report"] == []
    sending.finish()
    assert service.statuses() == {"COMPLETED": 3}


def test_at_the_end_a_service_that_is_away_is_not_waited_for_beyond_the_deadline(
    service: FakeService, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = Sending(client)
    reports = leased(service, client, 3)
    service.stop()
    put(sending, reports)
    sending.finish(0.5)
    assert sending.error is None
    assert len(sending.outbox) == 3
    sending.outbox.put(reports[0])  # too late: its task was released
    assert len(sending.outbox) == 3


def test_retries_outlast_the_longest_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(retries, "MAX_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(retries, "JITTER_SECONDS", 0.0)
    calls = []

    def call() -> str:
        calls.append(1)
        if len(calls) < 3000:  # doubled so many times, a wait would overflow a float
            raise retries.Unavailable("not yet")
        return "answered"

    assert retries.call_with_retries(call, lambda *_: True) == "answered"
