"""docs/command_line.md happens as it is told: its examples are run in order, and their output compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

from app.commands.exit_codes import Exit
from tests.docs.blocks import parts_of
from tests.docs.shown_answers import hold_against
from tests.support.process import ROOT
from tests.support.server import KEPT_ENVIRONMENT, LiveServer
from tests.support.waiting import LIMIT_SECONDS

PAGE = ROOT / "docs" / "command_line.md"


def test_the_examples_happen_as_they_are_told(service_with_worker: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "interlock"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m app.command "$@"\n')
    command.chmod(0o755)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    environment = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    environment |= {"INTERLOCK_URL": service_with_worker.url, "INTERLOCK_TOKEN": service_with_worker.tokens["admin"]}
    environment |= {"PATH": f"{command.parent}:{environment['PATH']}", "HOME": str(tmp_path)}
    printed, compared = "", 0
    for part in parts_of(PAGE):
        where = f"{PAGE.name}:{part.line}"
        if part.kind == "sh":
            state = tmp_path / "variables"
            script = f"set -aeuo pipefail\n[ -f {state} ] && . {state}\n{part.text}\nexport -p > {state}\n"
            done = subprocess.run(
                ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
                timeout=LIMIT_SECONDS * 2,
            )  # fmt: skip
            assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stderr}"
            printed = done.stdout
        elif part.kind == "json":
            lines = [line for line in printed.splitlines() if line.startswith("{")]
            shown = part.text.count("\n{") + 1
            hold_against(f"shown\n\n{part.text}", "shown\n\n" + "\n".join(lines[-shown:]), where)
            compared += 1
    assert compared > 5


def test_the_exit_codes_are_those_of_the_code() -> None:
    section = PAGE.read_text().split("## Exit codes")[1].split("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d) \|", section, re.M)} == set(Exit)
