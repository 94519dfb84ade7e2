"""docs/command_line.md happens as it is told: its examples are run in order, and their output compared."""

import os
import re
import subprocess
from pathlib import Path

from app.commands.exit_codes import Exit
from tests.docs.blocks import parts_of
from tests.docs.shown_answers import hold_against
from tests.support.forked.interlock_program import interlock_program
from tests.support.process import ROOT
from tests.support.server import KEPT_ENVIRONMENT, LiveServer
from tests.support.waiting import LIMIT_SECONDS

PAGE = ROOT / "docs" / "command_line.md"


def test_the_examples_happen_as_they_are_told(service_with_worker: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    (tmp_path / "bin").mkdir()
    with interlock_program(tmp_path / "bin") as program:
        environment = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
        environment |= {
            "INTERLOCK_URL": service_with_worker.url, "INTERLOCK_TOKEN": service_with_worker.tokens["admin"],
            "PATH": f"{program.parent}:{environment['PATH']}", "HOME": str(tmp_path),
        }  # fmt: skip
        assert _follow(environment, tmp_path) > 5


def _follow(environment: dict[str, str], folder: Path) -> int:
    """Run the examples in one shell's variables, and return how many outputs were compared."""
    state, printed, compared = folder / "variables", "", 0
    for part in parts_of(PAGE):
        where = f"{PAGE.name}:{part.line}"
        if part.kind == "sh":
            script = f"set -aeuo pipefail\n[ -f {state} ] && . {state}\n{part.text}\nexport -p > {state}\n"
            done = subprocess.run(
                ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True,
                timeout=LIMIT_SECONDS * 2,
            )  # fmt: skip
            assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stderr}"
            printed = done.stdout
        elif part.kind == "json":
            lines = [line for line in printed.splitlines() if line.startswith("{")]
            shown = part.text.count("\n{") + 1
            hold_against(f"shown\n\n{part.text}", "shown\n\n" + "\n".join(lines[-shown:]), where)
            compared += 1
    return compared


def test_the_exit_codes_are_those_of_the_code() -> None:
    section = PAGE.read_text().split("## Exit codes")[1].split("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d) \|", section, re.M)} == set(Exit)
