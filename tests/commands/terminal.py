"""Runs a command of `interlock` as somebody at a terminal does."""

import os
import pty
import runpy
import select
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NamedTuple

from tests.support.process import FORKS, ROOT, take_as_standard_files
from tests.support.server import KEPT_ENVIRONMENT, LiveServer
from tests.support.waiting import LIMIT_SECONDS

CTRL_C, PRESSED_SECONDS = "\x03", 0.5


class Shown(NamedTuple):
    """What the terminal showed, what was written to the pipe, if stdout was one, and the exit code."""

    terminal: str
    piped: str
    exit_code: int


def on_terminal(
    server: LiveServer, *words: str, role: str = "viewer", question: str = "", answer: str = "", pipes: bool = False,
    in_a_new_interpreter: bool = False,
) -> Shown:  # fmt: skip
    """Run a command on a terminal; type `answer` when `question` is shown. With `pipes`, its stdout is a pipe."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    kept |= {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens[role], "TERM": "xterm", "COLUMNS": "160"}
    ours, its = pty.openpty()
    piped, pipe = Pipe(duplex=False)
    program = _exec if in_a_new_interpreter else _go_on
    terminal = Connection(its)  # which can be handed to a process that is forked
    process = FORKS.Process(target=_sit_down, args=(terminal, pipe if pipes else None, kept, program, words))
    process.start()
    terminal.close()
    pipe.close()
    try:
        shown = _watch(ours, question, answer)
    finally:
        os.close(ours)
    with open(piped.fileno(), closefd=False) as written:
        through_the_pipe = written.read()
    piped.close()
    process.join(LIMIT_SECONDS)
    assert process.exitcode is not None
    return Shown(shown.decode(), through_the_pipe, process.exitcode)


def _watch(terminal: int, question: str, answer: str) -> bytes:
    """Read what is shown until the command has ended, and answer its question."""
    shown, is_answered = b"", not question
    try:
        while True:
            if came := bool(select.select([terminal], [], [], PRESSED_SECONDS)[0]):
                if not (piece := os.read(terminal, 4096)):
                    break
                shown += piece
            # Ctrl-C that comes in the moment before the answer is read has no effect: it is pressed again.
            is_ignored = is_answered and not came and answer == CTRL_C and b"Aborted!" not in shown
            if is_ignored or (not is_answered and question in shown.decode()):
                os.write(terminal, answer.encode())
                is_answered = True
    except OSError:  # Linux: the other end is closed
        pass
    return shown


def _sit_down(
    terminal: Connection, pipe: Connection | None, environment: dict[str, str],
    program: Callable[[Sequence[str]], None], words: Sequence[str],
) -> None:  # fmt: skip
    """Make this process, which was forked, one at a terminal, and let it run the command."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where it is ignored
    # The first terminal that the leader of a session opens is the one whose Ctrl-C interrupts it.
    shown = os.open(os.ttyname(terminal.fileno()), os.O_RDWR)
    take_as_standard_files([shown, pipe.fileno() if pipe else shown, shown])
    os.close(shown)
    terminal.close()
    if pipe:
        pipe.close()
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    program(words)


def _go_on(words: Sequence[str]) -> None:
    sys.path[0] = str(ROOT)
    sys.argv = ["interlock", *words]
    runpy.run_module("app.command", run_name="__main__", alter_sys=True)


def _exec(words: Sequence[str]) -> None:
    os.execv(sys.executable, [sys.executable, "-m", "app.command", *words])
