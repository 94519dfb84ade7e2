"""What a start refuses, and what it leaves on the disk."""

import os
import stat
from pathlib import Path

from sqlalchemy import text

from app.db import make_engine
from app.schema import migrate
from config import Config
from tests.support.process import finished
from tests.support.server import KEPT_ENVIRONMENT


def test_a_short_admin_token_is_refused_in_a_sentence(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    database = {"DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "HOST": "no-such-host.invalid"}
    for token, refused in (("a", True), ("x" * 15, True), ("x" * 16, False)):
        ended = finished("-m", "app.cli", "serve", env={**kept, **database, "ADMIN_TOKEN": token})
        assert ended.returncode != 0
        assert ("ADMIN_TOKEN" in ended.stderr and "at least 16 characters" in ended.stderr) is refused, ended.stderr
        assert "Traceback" not in ended.stderr


def test_files_of_sqlite_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "interlock.db"
    before = os.umask(0)
    try:
        migrate(f"sqlite:///{path}")
        engine = make_engine(Config(f"sqlite:///{path}"))
        with engine.begin() as connection:
            connection.execute(text("UPDATE batches SET version = version"))
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        engine.dispose()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("interlock.db", "interlock.db-wal", "interlock.db-shm"), 0o600)
