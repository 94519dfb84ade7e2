"""Completion, in each of the three shells as its user has it."""

import shutil
from pathlib import Path

import pytest

from tests.package.conftest import Installed, finished

# shell -> a program that loads the completion and prints what completes `interlock batches pa`
PROGRAMS = {
    "bash": """
        eval "$(interlock completion bash)"
        complete -p interlock > /dev/null
        COMP_WORDS=(interlock batches pa) COMP_CWORD=2
        _interlock_completion interlock && printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        autoload -U compinit && compinit -u -D
        compadd() { :; }
        _describe() { local name; for name; do [[ ${(tP)name} == array* ]] && print -l "${(@P)name}"; done; }
        eval "$(interlock completion zsh)"
        [[ $_comps[interlock] = _interlock_completion ]] || exit 1
        words=(interlock batches pa) CURRENT=3
        _interlock_completion
    """,
    "fish": """
        interlock completion fish | source
        complete -C 'interlock batches pa'
    """,
}


@pytest.mark.parametrize("shell", PROGRAMS)
def test_a_shell_completes_a_verb(shell: str, installed: Installed, tmp_path: Path) -> None:
    assert shutil.which(shell), f"install {shell}, as .ci/run does"
    path = f"{installed.venv / 'bin'}:/usr/bin:/bin"
    done = finished(shell, "-c", PROGRAMS[shell], folder=tmp_path, PATH=path, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0].partition(":")[0] == "pause"
