"""docs/operating.md names every setting, limit, metric and line of the log, as the code has them."""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import marshmallow as ma
import pytest
from prometheus_client import Counter, Gauge, Histogram

from app import metrics
from app.api import uploads
from app.api.schemas import taken, webhook_calls, worker_calls
from app.services.batch import request_queue
from app.services.input import bad_lines, json_lines
from app.services.queue import task_queue
from config import Config
from tests.monitoring.scrape import families_of
from tests.support.client import ApiClient
from tests.support.process import ROOT

PAGE = (ROOT / "docs" / "operating.md").read_text()
UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "s": 1, "ms": 1}
LIMITS = re.findall(r"^\| .+ \| ([\d,]+) ?(\w*) \| `([\w.]+)` \|$", PAGE, re.M)

PLACES = {"INTERLOCK_HOME", "DATABASE_URL_FILE", "ADMIN_TOKEN_FILE"}  # they say where other settings or the data are


def rows(section: str) -> dict[str, list[str]]:
    """The rows of a section's tables: the first cell's words in backticks, and the other cells."""
    lines = re.findall(r"^\| (.+) \|$", PAGE.split(f"## {section}\n")[1].split("\n## ")[0], re.M)
    cells = [line.split(" | ") for line in lines]
    return {name: rest for first, *rest in cells for name in re.findall(r"`([^`{]+)[^`]*`", first)}


def settings() -> set[str]:
    """The names of the settings, read from the source of config.py."""
    calls = [n for n in ast.walk(ast.parse((ROOT / "config.py").read_text())) if isinstance(n, ast.Call)]
    asked = [c for c in calls if isinstance(c.func, ast.Attribute) and ast.unparse(c.func.value) == "env" and c.args]
    return {str(ast.literal_eval(call.args[0])) for call in asked}


def test_every_setting_is_documented_and_none_that_is_not() -> None:
    assert {name.lower() for name in settings() - PLACES} == set(Config.__dataclass_fields__)
    assert settings() >= PLACES
    assert set(rows("Settings")) == settings()


def test_the_defaults_are_those_of_the_code() -> None:
    documented = {name: cells[0].strip("`") for name, cells in rows("Settings").items()}
    for name, default in Config.__dataclass_fields__.items():
        if name not in ("database_url", "admin_token", "currency"):
            value = int(default.default) if isinstance(default.default, bool) else default.default
            assert documented[name.upper()] == str(value)


def limit_of(place: str) -> Any:
    """Find a limit where the page says it stands: a constant, a default, or the field of a schema."""
    module, _, name = place.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        module, _, owner = module.rpartition(".")
        kind = getattr(importlib.import_module(module), owner)
        if not issubclass(kind, ma.Schema):
            return getattr(kind, name)
        return max(validator.max for validator in kind().fields[name].validators if validator.max is not None)
    return found


@pytest.mark.parametrize(("number", "unit", "place"), LIMITS, ids=[place for *_, place in LIMITS])
def test_a_limit_is_that_of_the_code(number: str, unit: str, place: str) -> None:
    assert int(number.replace(",", "")) * UNITS[unit] == limit_of(place)


def test_every_limit_that_is_a_constant_is_there() -> None:
    documented = {place for *_, place in LIMITS}
    for module in (taken, webhook_calls, worker_calls, uploads, json_lines, bad_lines, task_queue, request_queue):
        names = [name for name in vars(module) if re.match(r"(MOST|LONGEST|LINE)_", name)]
        assert names
        assert {f"{module.__name__}.{name}" for name in names} <= documented


def metric_names() -> set[str]:
    """The names of the metrics that processes count, as Prometheus shows them."""
    kinds = (Counter, Histogram, Gauge)
    described = [each.describe()[0] for each in vars(metrics).values() if isinstance(each, kinds)]
    return {f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in described}


def test_every_metric_is_there(client: ApiClient) -> None:
    documented = {name for name in rows("Health, readiness, metrics") if name.startswith("interlock_")}
    assert documented >= metric_names()
    assert documented == {name for name in families_of(client) if name.startswith("interlock_")}
    assert len(metric_names()) >= 5


def logged_events() -> set[str]:
    """The first words of every log line that the service itself writes (the embedded worker's are sentences)."""
    found: set[str] = set()
    for folder in ("api", "services", "ui", "v1", "web"):
        for source in Path(ROOT, "app", folder).rglob("*.py"):
            found |= set(re.findall(r'log\.(?:info|warning|error|exception)\(\s*"(\w+)"', source.read_text()))
    return found


def test_every_line_of_the_log_is_there() -> None:
    assert logged_events() == set(rows("Logs"))
