"""What lacks is said, and nothing else changes: no package, no collector, a collector that does not answer."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.tracing.settings import NotSupported, are_wanted
from interlock import Client
from tests.support.collector import Collector
from tests.support.postgres import free_port
from tests.support.process import ROOT, new_interpreter
from tests.support.server import LiveServer, StartServer
from tests.support.waiting import LIMIT_SECONDS

LAZY = {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}


def use(server: LiveServer) -> None:
    """Create a batch and act on it."""
    with Client(server.url, server.tokens["operator"]) as client:
        batch = client.create(
            "x", documents=[{"name": "a", "text": "One."}], prompts=[{"name": "p", "text": "{document}"}],
            models=[{"connection": "x", "model": "y"}],
        )  # fmt: skip
        assert client.act(batch["id"], "stage")["success"] is True


def test_a_stop_sends_what_was_not_sent(start_server: StartServer, sqlite_url: str, collector: Collector) -> None:
    server = start_server(sqlite_url, **{**collector.settings, **LAZY})
    use(server)
    assert not collector.spans
    assert server.stop() == 0
    assert collector.named("decision stage")


def test_a_collector_that_does_not_answer_holds_nothing_up(
    start_server: StartServer, sqlite_url: str, collector: Collector
) -> None:
    """It answers only after all of this: neither a request nor the stop waits for it."""
    collector.gate.clear()
    server = start_server(sqlite_url, **collector.settings)
    use(server)
    assert collector.asked.wait(LIMIT_SECONDS)
    for _ in range(3):
        use(server)
    assert server.stop() == 0
    assert not collector.spans


@pytest.mark.parametrize("status", [None, 503, 400], ids=["no collector", "busy", "refuses"])
def test_a_collector_that_takes_nothing_changes_nothing(
    start_server: StartServer, sqlite_url: str, collector: Collector, status: int | None
) -> None:
    collector.status = status or 200
    nobody = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    server = start_server(sqlite_url, **collector.settings | (nobody if status is None else {}))
    for _ in range(3):
        use(server)
    assert server.stop() == 0


def test_packages_that_lack_are_named(
    start_server: StartServer, sqlite_url: str, tmp_path: Path, collector: Collector
) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError('it is not installed')\n")
    server = start_server(sqlite_url, start=new_interpreter, PYTHONPATH=str(tmp_path), **collector.settings)
    use(server)
    assert "pip install 'interlock[otel]'" in server.log.read_text()
    assert not collector.asked.is_set()


def test_what_is_not_supported_is_named(start_server: StartServer, sqlite_url: str, collector: Collector) -> None:
    server = start_server(sqlite_url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc", **collector.settings)
    use(server)
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is grpc; http/protobuf is supported." in server.log.read_text()


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_when_traces_are_wanted(environment: dict[str, str], wanted: bool) -> None:
    assert are_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is zipkin"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is http/json",
        ),
    ],
)
def test_what_is_not_possible(environment: dict[str, str], named: str) -> None:
    with pytest.raises(NotSupported, match=named):
        are_wanted(environment)


@pytest.mark.parametrize("module", ["app.command", "app.cli", "app.worker.__main__", "app.server.serve"])
def test_nothing_of_it_is_imported_when_it_is_off(module: str) -> None:
    program = f"import sys, {module}; assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    kept = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
