"""Backup and restore: a moment of a busy database, whole, for its owner alone; and each ends in `verify`."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from app.db import make_engine
from app.services import Services
from app.services.upkeep.verify import verify
from config import Config
from tests.services.stories import bring, create, trail
from tests.support.postgres import find_programs
from tests.support.process import ROOT
from tests.support.server import StartServer

Run = Callable[..., Result]
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)
    return lambda *words: CliRunner().invoke(cli, words)


def file_of(database_url: str) -> Path:
    return Path(database_url.removeprefix("sqlite:///"))


def restored(run: Run, monkeypatch: pytest.MonkeyPatch, backup: Path, place: Path) -> Result:
    """Restore into a database that does not exist yet."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{place}")
    return run("restore", str(backup))


def ids_in(file: Path) -> list[int]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM batches ORDER BY id")]


@sqlite_only
def test_there_and_back(services: Services, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = bring(services, "COMPLETED")
    done = run("backup", str(tmp_path / "b.db"))
    assert (done.exit_code, done.stdout) == (0, f"The backup is in {tmp_path / 'b.db'}.\n")
    assert stat.S_IMODE((tmp_path / "b.db").stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["b.db"]
    create(services)
    back = restored(run, monkeypatch, tmp_path / "b.db", tmp_path / "new" / "interlock.db")
    assert (back.exit_code, back.stdout.splitlines()[-1]) == (0, "No contradictions.")
    assert ids_in(tmp_path / "new" / "interlock.db") == [batch_id]
    assert stat.S_IMODE((tmp_path / "new" / "interlock.db").stat().st_mode) == 0o600


@sqlite_only
def test_a_backup_beside_writers_is_one_moment(
    services: Services, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write would begin the copy again, if it did not keep its moment. It is copied a page at a time."""
    monkeypatch.setattr("app.server.backup.PAGES", 1)
    over = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not over.is_set():
            written.append(bring(services, "COMPLETED", documents=3))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 3:
            over.wait(0.01)
        done = run("backup", str(tmp_path / "b.db"))
    finally:
        over.set()
        writer.join()
    assert done.exit_code == 0, done.output
    back = restored(run, monkeypatch, tmp_path / "b.db", tmp_path / "new.db")
    assert back.stdout.splitlines()[-1] == "No contradictions."
    assert len(ids_in(tmp_path / "new.db")) >= 3


@sqlite_only
def test_an_older_backup_stays_until_the_new_one_is_complete(
    services: Services, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(services)
    run("backup", str(tmp_path / "b.db"))
    before = (tmp_path / "b.db").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "b.db.part")

    with monkeypatch.context() as patched:
        patched.setattr("app.server.backup._copy", full)
        failed = run("backup", str(tmp_path / "b.db"))
    assert (failed.exit_code, failed.stderr) == (1, "Error: No space left on device: b.db.part\n")
    assert [each.name for each in tmp_path.iterdir()] == ["b.db"]
    assert (tmp_path / "b.db").read_bytes() == before


@sqlite_only
def test_a_restore_replaces_and_asks_first(services: Services, run: Run, tmp_path: Path) -> None:
    first = create(services)
    run("backup", str(tmp_path / "b.db"))
    create(services)
    asked = run("restore", str(tmp_path / "b.db"))
    assert asked.exit_code == 1
    assert "Replace the present database, with its 2 batches?" in asked.stdout
    services.engine.dispose()
    assert run("restore", str(tmp_path / "b.db"), "--yes").exit_code == 0
    assert trail(services, first) == ["create"]
    assert sum(services.reads.batches.counts().values()) == 1


@sqlite_only
def test_a_running_service_is_left_alone(
    database_url: str, run: Run, start_server: StartServer, tmp_path: Path
) -> None:
    """With its sweeper, and without: each of its connections is seen."""
    for sweeper in ("1", "0"):
        server = start_server(database_url, SWEEPER=sweeper)
        assert run("backup", str(tmp_path / "b.db")).exit_code == 0
        refused = run("restore", str(tmp_path / "b.db"), "--yes")
        assert refused.exit_code == 1
        assert "uses the database: stop it first. Nothing was changed." in refused.stderr
        assert server.stop() == 0
    assert run("restore", str(tmp_path / "b.db"), "--yes").exit_code == 0


@sqlite_only
def test_what_cannot_be_restored(services: Services, database_url: str, run: Run, tmp_path: Path) -> None:
    batch_id = create(services)
    later, foreign, torn, text = (tmp_path / name for name in ("later.db", "foreign.db", "torn.db", "text"))
    run("backup", str(later))
    torn.write_bytes(later.read_bytes()[:50_000])
    with closing(sqlite3.connect(later)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE t (x)")
    text.write_text("x" * 10_000)
    services.engine.dispose()
    for file, why in (
        (later, "is of a later release (migration 9999)"),
        (foreign, "is no backup of Interlock"),
        (torn, "Nothing was changed"),
        (text, "is no backup of Interlock"),
        (tmp_path / "none", "There is no file"),
        (file_of(database_url), "is the database itself"),
    ):
        refused = run("restore", str(file), "--yes")
        assert refused.exit_code == 1, file
        assert why in refused.stderr.replace("\n", " ")
    assert trail(services, batch_id) == ["create"]
    assert run("backup", str(file_of(database_url))).exit_code == 1


@sqlite_only
def test_an_older_backup_is_migrated(services: Services, run: Run, tmp_path: Path, monkeypatch) -> None:
    services.engine.dispose()
    assert run("migrate", "0007", "--down").exit_code == 0
    assert run("backup", str(tmp_path / "b.db")).exit_code == 0
    assert run("migrate").exit_code == 0
    back = restored(run, monkeypatch, tmp_path / "b.db", tmp_path / "new.db")
    assert back.stdout.splitlines()[-1] == "No contradictions."


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_they_are_for_sqlite(run: Run, tmp_path: Path) -> None:
    for command in ("backup", "restore"):
        refused = run(command, str(tmp_path / "b.db"))
        assert (refused.exit_code, "use pg_dump and pg_restore" in refused.stderr) == (1, True)


def commands_of(page: str, heading: str) -> str:
    """The shell block of a page that follows a heading."""
    section = (ROOT / "docs" / page).read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"^```sh\n(.+?)^```", section, re.M | re.S))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_commands_for_postgresql(
    services: Services, database_url: str, empty_postgres_url: str, tmp_path: Path
) -> None:
    """docs/operating.md: its commands, as they stand there, with a database of this run."""
    batch_id = bring(services, "COMPLETED")
    services.engine.dispose()
    commands = [line for line in commands_of("operating.md", "Backup").splitlines() if "pg_" in line]
    assert [line.split()[0] for line in commands] == ["pg_dump", "pg_restore"]
    environment = {
        **os.environ,
        "PATH": f"{find_programs()}:{os.environ['PATH']}",
        "DATABASE_URL": database_url,
        "NEW_DATABASE_URL": empty_postgres_url,
    }
    for command in commands:
        done = subprocess.run(
            f"umask 077; {command}", shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "interlock.dump").stat().st_mode) == 0o600
    verified = subprocess.run(
        [sys.executable, "-m", "app.cli", "verify"],
        cwd=ROOT,
        env={**environment, "DATABASE_URL": empty_postgres_url},
        capture_output=True,
        text=True,
    )
    assert (verified.returncode, verified.stdout) == (0, "No contradictions.\n"), verified.stderr
    engine = make_engine(Config(database_url=empty_postgres_url))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id FROM batches").scalars().all() == [batch_id]
        enabled = connection.exec_driver_sql("SELECT tgenabled FROM pg_trigger WHERE NOT tgisinternal").scalars()
        assert set(enabled) == {"A"}  # the defences stand again
    assert list(verify(engine)) == []
    engine.dispose()
