"""The alert rules and the dashboard: each alert fires and is resolved, and each metric that they name exists."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.monitoring.scrape import families_of
from tests.support.client import ApiClient
from tests.support.process import ROOT

FOLDER = ROOT / "monitoring"
ALERTS = (FOLDER / "alerts.yml").read_text()
CASES = (FOLDER / "alerts_test.yml").read_text()
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
NAME = re.compile(r"\binterlock_[a-z_]+\b")
PARTS_OF_HISTOGRAM = re.compile(r"_(bucket|count|sum)$")


def promtool(*arguments: str) -> str:
    """Run promtool, which comes with Prometheus; `.ci/run` puts it beside the Python of the tests."""
    found = shutil.which("promtool") or shutil.which("promtool", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.fail("promtool is missing: install Debian's package prometheus, or run .ci/run once.", pytrace=False)
    done = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=120, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", ALERTS)


def test_the_rules_are_rules() -> None:
    assert "12 rules found" in promtool("check", "rules", "alerts.yml")


def test_each_alert_fires_and_is_resolved() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    for name in alerts():
        looked_at = re.findall(rf"alertname: {name}\n +exp_alerts:(.*)", CASES)
        assert "" in looked_at, f"{name} does not fire in a test"
        assert " []" in looked_at, f"{name} is not resolved in a test"


def test_each_alert_is_explained() -> None:
    assert sorted(re.findall(r"^\| `(Interlock\w+)`", PAGE, re.M)) == sorted(alerts())


@pytest.mark.parametrize("of", ["alerts", "dashboard"])
def test_each_metric_that_is_named_exists(client: ApiClient, of: str) -> None:
    expressions = [each["expr"] for panel in PANELS for each in panel["targets"]]
    text = ALERTS if of == "alerts" else "\n".join(expressions)
    named = {PARTS_OF_HISTOGRAM.sub("", name) for name in NAME.findall(text)}
    assert len(named) > 10
    assert named <= families_of(client).keys()


def test_the_dashboard_shows_each_metric(client: ApiClient) -> None:
    shown = NAME.findall("\n".join(each["expr"] for panel in PANELS for each in panel["targets"]))
    exist = {name for name in families_of(client) if name.startswith("interlock_")}
    assert exist == {PARTS_OF_HISTOGRAM.sub("", name) for name in shown}


def test_no_panel_covers_another_one() -> None:
    cells = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
