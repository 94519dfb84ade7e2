"""The unit, the image and the composition: checked as far as a machine without a container engine can."""

import ast
import re
import secrets
import shlex
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from app.command import interlock
from app.worker.__main__ import main as worker
from tests.package.conftest import Installed, finished
from tests.support.process import ROOT
from tests.support.server import StartServer
from tests.support.waiting import LIMIT_SECONDS

DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
COMPOSITION: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: each for name, each in COMPOSITION["services"].items() if each["image"] == "interlock"}


def settings() -> set[str]:
    """The settings that config.py reads."""
    calls = [node for node in ast.walk(ast.parse((ROOT / "config.py").read_text())) if isinstance(node, ast.Call)]
    asked = [call for call in calls if call.args and ast.unparse(call.func).startswith("env.")]
    return {ast.literal_eval(call.args[0]) for call in asked}


def check_command(words: list[str]) -> None:
    """Check that a command exists and takes these flags; nothing is run."""
    program, *arguments = words
    command: click.Command = {"interlock": interlock, "interlock-worker": worker}[Path(program).name]
    with command.make_context(Path(program).name, list(arguments), resilient_parsing=False) as context:
        if isinstance(command, click.Group):
            name, found, rest = command.resolve_command(context, arguments)
            assert found, words
            found.make_context(name, rest, parent=context)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_one_for_systemd(unit: Path, installed: Installed, tmp_path: Path) -> None:
    assert shutil.which("systemd-analyze"), "install systemd, as .ci/run does"
    name = unit.name.replace("@", "@1")
    text = unit.read_text().replace("/opt/interlock/bin", str(installed.venv / "bin"))
    (tmp_path / unit.name).write_text(text)
    checked = finished("systemd-analyze", "verify", tmp_path / name, folder=tmp_path)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_exists_with_settings_that_exist(unit: Path) -> None:
    (start,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.M)
    check_command(shlex.split(re.sub(r"%\w", "/x", start)))
    assert set(re.findall(r"^Environment=(\w+)=", unit.read_text(), re.M)) <= settings()


def test_the_service_tells_systemd_that_it_is_ready(start_server: StartServer, sqlite_url: str) -> None:
    """Type=notify: the message comes when the web processes are there."""
    name = f"interlock-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(LIMIT_SECONDS)
        start_server(sqlite_url, NOTIFY_SOCKET=f"@{name}")
        assert manager.recv(4096).startswith(b"READY=1\n")


def test_the_image_runs_a_command_that_exists_and_not_as_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    (start,) = re.findall(r"^CMD \[(.+)\]$", text, re.M)
    check_command(ast.literal_eval(f"[{start}]"))
    assert re.search(r"^USER 10001$", text, re.M)
    assert "/readyz" in text
    compile(re.findall(r'"-c", "(.+)"\]$', text, re.M)[0].replace('\\"', '"'), "HEALTHCHECK", "exec")


def test_hadolint_objects_to_nothing_in_the_image(tmp_path: Path) -> None:
    """It comes as a wheel of requirements-dev.txt."""
    hadolint = Path(sys.executable).parent / "hadolint"
    checked = finished(hadolint, DEPLOY / "Dockerfile", folder=tmp_path)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && sudo ls\n")
    assert finished(hadolint, tmp_path / "Dockerfile", folder=tmp_path).returncode != 0


def test_the_image_has_all_files_of_the_wheel() -> None:
    """What .dockerignore leaves out is not needed to build the wheel."""
    kept = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.M))
    project = (ROOT / "pyproject.toml").read_text()
    needed = set(re.findall(r'^"([\w.]+)" = "app/', project, re.M)) | {"app", "interlock", "config.py", "wsgi.py"}
    assert (
        needed | {"pyproject.toml", "requirements.txt", "requirements-dask.txt", "requirements-otel.txt", "README.md"}
        == kept
    )


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_the_composition(name: str) -> None:
    service = OURS[name]
    check_command(service.get("command") or ["interlock", "serve"])
    assert set(service.get("environment", {})) <= settings()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    mounted = {f"/run/secrets/{secret}" for secret in service["secrets"]}
    named = [*service.get("environment", {}).values(), *(service.get("command") or [])]
    assert {word for word in named if str(word).startswith("/run/secrets/")} == mounted


def test_the_composition_names_nothing_that_it_does_not_define() -> None:
    services = COMPOSITION["services"].values()
    assert {secret for each in services for secret in each.get("secrets", ())} == set(COMPOSITION["secrets"])
    used = {volume.partition(":")[0] for each in services for volume in each.get("volumes", ())}
    assert {name for name in used if "/" not in name} == set(COMPOSITION["volumes"])
    assert all((DEPLOY / path).is_file() for path in used if "/" in path)
    assert {before for each in services for before in each.get("depends_on", ())} <= set(COMPOSITION["services"])
    assert len(OURS) == 3
