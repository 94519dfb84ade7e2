"""A private PgBouncer in front of a PostgreSQL server, on TCP loopback; gone when the block ends."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
from sqlalchemy import make_url

from tests.support.postgres import free_port
from tests.support.waiting import LIMIT_SECONDS, wait_until

MODES = ("session", "transaction")
SIZES = {"session": 60, "transaction": 6, "statement": 6}  # by session, each connection of a service needs its own
ADVICE = "These tests need PgBouncer: `apt-get install pgbouncer`."
SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
default_pool_size = {size}
"""


class NoPgBouncer(RuntimeError):
    """There is no PgBouncer to start, or it does not start; the sentence says what to do."""


def _program() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # Debian's place, for root alone
    if found is None:
        raise NoPgBouncer(ADVICE)
    return found


@contextmanager
def private_pgbouncer(server_url: str, mode: str) -> Iterator[str]:
    """Run PgBouncer in front of a server, pooling by `mode`, and yield its base URL, without a database.

    Raises NoPgBouncer.
    """
    program, server, own_port = _program(), make_url(server_url), free_port()
    with TemporaryDirectory(prefix="interlock-pgbouncer-", dir="/tmp") as home:
        settings, users, log = Path(home, "pgbouncer.ini"), Path(home, "users"), Path(home, "log")
        users.write_text(f'"{server.username}" ""\n')
        settings.write_text(
            SETTINGS.format(
                host=server.host, port=server.port, own_port=own_port, users=users, mode=mode, size=SIZES[mode]
            )
        )
        command = [program, str(settings)]
        if os.geteuid() == 0:  # PgBouncer refuses to run as root
            os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)
            command[1:1] = ["-u", "nobody"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            url = f"postgresql://{server.username}@127.0.0.1:{own_port}"
            wait_until(lambda: _answers(url, process, log), "a PgBouncer that answers")
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_SECONDS)


def _answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    if process.poll() is not None:
        raise NoPgBouncer(f"The private PgBouncer did not start:\n{log.read_text(errors='replace')}")
    try:
        psycopg2.connect(f"{url}/postgres", connect_timeout=5).close()
    except psycopg2.OperationalError:
        return False
    return True
