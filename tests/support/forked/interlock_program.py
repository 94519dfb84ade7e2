"""The program `interlock` for the shells of tests: each call is a process forked from one that has made the imports.

The program itself only hands its arguments, its environment, its folder and its open files to that process over a
socket, waits for the exit code of the fork, and ends with it.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from app.command import main
from tests.support.process import FORKS, take_as_standard_files

MAX_REQUEST_BYTES = 100_000
_CALLER = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as forker:
    forker.connect({address!r})
    request = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(forker, [request], [0, 1, 2])
    sys.exit(int(forker.recv(10) or sys.exit("The fork was killed.")))
"""


@contextmanager
def interlock_program(folder: Path) -> Iterator[Path]:
    """Write the program into a folder, and let it work while the block lasts."""
    address = f"\0interlock-{uuid4().hex}"  # an abstract one: the path of a folder may be too long
    program = folder / "interlock"
    program.write_text(_CALLER.format(python=sys.executable, address=address))
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        forker = FORKS.Process(target=_serve, args=(listener,))
        forker.start()
    try:
        yield program
    finally:
        forker.terminate()
        forker.join()


def _serve(listener: socket.socket) -> None:
    while True:
        caller, _ = listener.accept()
        with caller:
            if os.fork() == 0:
                listener.close()
                _answer(caller)
        _reap()


def _reap() -> None:
    with suppress(ChildProcessError):  # there is none left
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _answer(caller: socket.socket) -> None:
    """Become the command, and send its exit code when it has ended."""
    request, descriptors, _, _ = socket.recv_fds(caller, MAX_REQUEST_BYTES, 3)
    take_as_standard_files(descriptors)
    for each in descriptors:
        os.close(each)
    arguments, environment, folder = json.loads(request)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["interlock", *arguments]
    try:
        main()
        exit_code = 0
    except SystemExit as end:
        exit_code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    caller.sendall(str(exit_code).encode())
    os._exit(exit_code)
