"""The virtual environment of the peers: made under var/ when it is first needed, and again if the versions change."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.process import ROOT

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
PLACE = ROOT / "var" / "bench-peers"
DONE = PLACE / "requirements.txt"
MAKE_SECONDS, RUN_SECONDS = 900, 300


class NoPeer(RuntimeError):
    """A peer cannot be measured here; the sentence says what is missing."""


def prepared() -> Path:
    """Make the environment if there is none of these versions; return its Python. Raises NoPeer."""
    python = PLACE / "bin" / "python"
    if DONE.exists() and DONE.read_text() == REQUIREMENTS.read_text():
        return python
    shutil.rmtree(PLACE, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(PLACE)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)],
    ):
        made = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_SECONDS)
        if made.returncode:
            raise NoPeer(f"no virtual environment: {made.stderr.strip()[-300:]}")
    DONE.write_text(REQUIREMENTS.read_text())
    return python


def measured(module: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """Run a module of this folder there; return its version and its rate. Raises NoPeer."""
    command = [str(prepared()), str(HERE / f"{module}.py"), *arguments]
    try:
        ran = subprocess.run(
            command,
            cwd=HERE,
            env={"PATH": f"{PLACE / 'bin'}:/usr/bin:/bin", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise NoPeer(f"{module} does not end") from error
    if ran.returncode:
        raise NoPeer(f"{module} fails: {ran.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def found_program(name: str, package: str) -> str:
    """Find a program. Raises NoPeer with the package that has it."""
    if found := shutil.which(name):
        return found
    raise NoPeer(f"{name} is missing: apt-get install {package}")
