"""The log of an outage: a line every few seconds with the counts of this worker, and one at its end."""

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.worker.service import outage as module
from app.worker.service.outage import Outage


def events(logs: list[Any]) -> list[str]:
    return [line["event"] for line in logs]


def test_an_outage_is_logged_every_few_seconds_and_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.2)
    with capture_logs() as logs:
        outage = Outage("http://x")
        outage.describe = lambda: {"unreported": 3}
        outage.ended()
        for _ in range(10):
            outage.failed("no connection")
        assert events(logs) == ["service_unavailable"]
        assert (logs[0]["unreported"], logs[0]["reason"]) == (3, "no connection")
        now += 0.25
        outage.failed("no connection")
        outage.ended()
        outage.ended()
    assert events(logs) == ["service_unavailable", "service_unavailable", "service_available"]
    assert logs[1]["unavailable_seconds"] == pytest.approx(0.25, abs=0.06)  # rounded
