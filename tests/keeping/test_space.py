"""What was deleted is gone from the disk: on SQLite the file shrinks, in short transactions, and keeps no trace."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from app.db import reading
from app.models import Document
from app.services import Services
from app.services.input import edits, erasure
from app.services.upkeep import space
from tests.services.stories import OPERATOR, document, rows_of

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Run = Callable[..., Result]
TEXT = "find me " * 250_000  # 2 MB


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)
    return lambda *words: CliRunner().invoke(cli, words)


def archived(services: Services) -> None:
    body = {"name": "b", "documents": [document(text=TEXT)], "prompts": [], "models": [], "options": {}}
    batch_id = int(edits.create_batch(services.batches, body, OPERATOR)["id"])
    edits.archive(services.batches, batch_id, OPERATOR)


def file_after_a_checkpoint(services: Services) -> bytes:
    """The content of the file when all changes are in it."""
    with reading(services.engine) as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(str(services.engine.url.database)).read_bytes()


def test_the_command_gives_the_space_back(services: Services, run: Run) -> None:
    empty = len(file_after_a_checkpoint(services))
    archived(services)
    full = file_after_a_checkpoint(services)
    assert TEXT[:100].encode() in full
    assert run("purge", "--archived-before", "0d").exit_code == 0
    after = file_after_a_checkpoint(services)
    assert len(after) - empty < (len(full) - empty) / 20
    assert TEXT[:100].encode() not in after


def test_the_sweeper_gives_the_space_back(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "PAGES", 100)
    archived(services)
    full = len(file_after_a_checkpoint(services))
    assert services.purge.begin(1)
    for _ in range(100):
        services.sweeper.sweep()
    assert len(file_after_a_checkpoint(services)) < full / 2


def test_an_erased_text_is_overwritten(services: Services) -> None:
    body = {"name": "b", "documents": [document(text="find me " * 10)], "prompts": [], "models": [], "options": {}}
    batch_id = int(edits.create_batch(services.batches, body, OPERATOR)["id"])
    assert b"find me find me" in file_after_a_checkpoint(services)
    erasure.erase_document(services.batches, batch_id, rows_of(services, Document)[0].id, OPERATOR)
    assert b"find me find me" not in file_after_a_checkpoint(services)


def test_an_older_database_keeps_its_size_until_it_is_rewritten(services: Services, run: Run) -> None:
    with reading(services.engine) as connection:
        connection.exec_driver_sql("PRAGMA auto_vacuum = NONE")
        connection.exec_driver_sql("VACUUM")
    services.engine.dispose()
    assert not space.can_give_back(services.engine)
    archived(services)
    full = len(file_after_a_checkpoint(services))
    kept = run("purge", "--archived-before", "0d")
    assert "The file keeps its size" in " ".join(kept.stdout.split())
    assert len(file_after_a_checkpoint(services)) == full
    in_use = run("purge", "--archived-before", "0d", "--rewrite")
    assert (in_use.exit_code, "stop it first" in in_use.stderr) == (1, True)
    services.engine.dispose()
    assert run("purge", "--archived-before", "0d", "--rewrite").exit_code == 0
    assert len(file_after_a_checkpoint(services)) < full / 2
    assert space.can_give_back(services.engine)
