"""The log of an outage: now and then a line, with what is waiting here, and one when it is over."""

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.worker import outage as module
from app.worker.outage import Outage


def events(logs: list[Any]) -> list[str]:
    return [line["event"] for line in logs]


def test_an_outage_is_told_now_and_then_and_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.2)
    with capture_logs() as logs:
        outage = Outage("http://x")
        outage.describe = lambda: {"unreported": 3}
        outage.over()
        for _ in range(10):
            outage.goes_on("no connection")
        assert events(logs) == ["service_away"]
        assert (logs[0]["unreported"], logs[0]["reason"]) == (3, "no connection")
        now += 0.25
        outage.goes_on("no connection")
        outage.over()
        outage.over()
    assert events(logs) == ["service_away", "service_away", "service_back"]
    assert logs[1]["away_seconds"] == pytest.approx(0.25, abs=0.06)  # rounded
