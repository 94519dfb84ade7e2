"""The wheel, and an environment in which nothing of this checkout is but the wheel."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.postgres import free_port
from tests.support.process import ROOT
from tests.support.server import KEPT_ENVIRONMENT, LiveServer, wait_until_ready
from tests.support.waiting import LIMIT_SECONDS

Finished = subprocess.CompletedProcess[str]


def finished(*command: str | Path, folder: Path, **environment: str) -> Finished:
    """Run a command to its end, in a folder, and with little of this process's environment."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT - {"VIRTUAL_ENV"}}
    return subprocess.run(
        command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=LIMIT_SECONDS
    )


def build(project: Path, folder: Path) -> Path:
    """Build the wheel of a project into a folder, without the network."""
    done = finished(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=project)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and an empty folder and home for who uses it."""

    wheel: Path
    venv: Path
    home: Path

    @property
    def data(self) -> Path:
        """Where a service keeps its data, if nothing else is said."""
        return self.home / ".local" / "share" / "interlock"

    def run(self, command: str, *arguments: str, **environment: str) -> Finished:
        """Run one of its commands from an empty folder."""
        here = self.home / "an empty folder"
        here.mkdir(exist_ok=True)
        done = finished(self.venv / "bin" / command, *arguments, folder=here, HOME=str(self.home), **environment)
        assert list(here.iterdir()) == [], "it writes nothing to the folder in which it is called"
        return done

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Run `interlock serve` with its embedded worker, from an empty folder; yield its address."""
        here, url = self.home / "a served folder", f"http://127.0.0.1:{(port := free_port())}"
        here.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT - {"VIRTUAL_ENV"}}
        with (here.parent / "log").open("wb") as log:
            process = subprocess.Popen(
                [self.venv / "bin" / "interlock", "serve"],
                cwd=here, env={**kept, "HOME": str(self.home), "PORT": str(port)}, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        server = LiveServer(url, process, here.parent / "log")
        try:
            wait_until_ready(server)
            yield url
        finally:
            assert server.stop() == 0, server.tail()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel is installed as pip does it. What it needs is that of the running environment, by a .pth file."""
    folder = tmp_path_factory.mktemp("installed")
    made = finished(sys.executable, "-m", "venv", "--without-pip", "venv", folder=folder)
    assert made.returncode == 0, made.stderr
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    done = finished(*pip, "install", "--no-deps", "--no-index", "--no-compile", wheel, folder=folder)
    assert done.returncode == 0, done.stderr
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    home = folder / "home"
    home.mkdir()
    return Installed(wheel, folder / "venv", home)
