"""Runs a command of `interlock` as somebody at a terminal does."""

import os
import pty
import select
import subprocess
import sys
from typing import NamedTuple

from tests.support.process import ROOT
from tests.support.server import KEPT_ENVIRONMENT, LiveServer
from tests.support.waiting import LIMIT_SECONDS

CTRL_C, PRESSED_SECONDS = "\x03", 0.5
# The first terminal that the leader of a session opens is the one whose Ctrl-C interrupts it.
_AT_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # the tests may run where it is ignored
os.open(sys.argv[1], os.O_RDWR)
os.execv(sys.executable, [sys.executable, "-m", "app.command", *sys.argv[2:]])
"""


class Shown(NamedTuple):
    """What the terminal showed, what was written to the pipe, if stdout was one, and the exit code."""

    terminal: str
    piped: str
    exit_code: int


def on_terminal(
    server: LiveServer, *words: str, role: str = "viewer", question: str = "", answer: str = "", pipes: bool = False
) -> Shown:
    """Run a command on a terminal; type `answer` when `question` is shown. With `pipes`, its stdout is a pipe."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    kept |= {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens[role], "TERM": "xterm", "COLUMNS": "160"}
    ours, its = pty.openpty()
    command = [sys.executable, "-c", _AT_TERMINAL, os.ttyname(its), *words]
    process = subprocess.Popen(
        command, cwd=ROOT, env=kept, stdin=its, stdout=subprocess.PIPE if pipes else its, stderr=its,
        start_new_session=True,
    )  # fmt: skip
    os.close(its)
    shown, is_answered = b"", not question
    try:
        while True:
            if came := bool(select.select([ours], [], [], PRESSED_SECONDS)[0]):
                if not (piece := os.read(ours, 4096)):
                    break
                shown += piece
            # Ctrl-C that comes in the moment before the answer is read has no effect: it is pressed again.
            is_ignored = is_answered and not came and answer == CTRL_C and b"Aborted!" not in shown
            if is_ignored or (not is_answered and question in shown.decode()):
                os.write(ours, answer.encode())
                is_answered = True
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(ours)
    piped, _ = process.communicate(timeout=LIMIT_SECONDS)
    return Shown(shown.decode(), (piped or b"").decode(), process.returncode)
