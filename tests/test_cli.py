"""The command line, on a database of each kind: what it prints, and its exit codes."""

from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from app.cli import cli
from app.server.worker_token import each_token
from bench.__main__ import bench
from bench.edges.__main__ import edges

Run = Callable[..., Result]
COMMANDS = [[], ["serve"], ["migrate"], ["verify"], ["purge"], ["backup"], ["restore"], ["demo"], ["tokens"]]
COMMANDS += [["tokens", "create"], ["tokens", "list"], ["tokens", "revoke"]]


@pytest.fixture
def run() -> Run:
    return lambda *words: CliRunner().invoke(cli, words)


@pytest.fixture
def on_database(database_url: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)
    return run


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does(run: Run, command: list[str]) -> None:
    shown = run(*command, "--help")
    assert shown.exit_code == 0
    assert shown.output.startswith("Usage: ")
    assert len(shown.output.splitlines()[2].strip()) > 20


@pytest.mark.parametrize("measured", [bench, edges], ids=["bench", "edges"])
def test_what_measures_says_what_it_does(measured: click.Command) -> None:
    """Their modules can be imported: make bench and make edges are not part of make test."""
    shown = CliRunner().invoke(measured, ["--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith("Usage: ")


def test_migrate_goes_down_and_up_again(on_database: Run, services) -> None:
    def tables() -> int:
        with services.engine.connect() as connection:
            return connection.dialect.has_table(connection, "batches")

    assert on_database("migrate", "base", "--down").exit_code == 0
    assert not tables()
    up = on_database("migrate")
    assert up.exit_code == 0
    assert up.stdout == "The database is at head.\n"
    assert tables()


def test_a_created_token_is_valid_and_a_revoked_one_is_not(on_database: Run, services) -> None:
    created = on_database("tokens", "create", "night shift", "--role", "operator")
    assert created.exit_code == 0
    secret = created.stdout.strip()
    assert services.tokens.caller(secret).role == "operator"
    (row,) = each_token(services.tokens)
    assert on_database("tokens", "revoke", str(row["id"])).stdout == f"Token {row['id']} is revoked.\n"
    assert list(each_token(services.tokens)) == []


def test_a_tokens_end_is_taken_as_utc(on_database: Run, services) -> None:
    on_database("tokens", "create", "short", "--role", "viewer", "--expires-at", "2199-01-31T12:00:00")
    (row,) = each_token(services.tokens)
    assert row["expires_at"].startswith("2199-01-31T12:00:00")


def test_tokens_are_listed_without_their_secrets(on_database: Run) -> None:
    secret = on_database("tokens", "create", "night shift", "--role", "worker").stdout.strip()
    listed = on_database("tokens", "list")
    assert "night shift" in listed.stdout
    assert "worker" in listed.stdout
    assert secret not in listed.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["tokens", "create", "x", "--role", "king"], "'king' is not one of"),
        (["tokens", "create", "x"], "Missing option '--role'"),
        (["tokens", "create", "x", "--role", "viewer", "--expires-at", "1999-01-01"], "expires_at is in the past"),
        (["tokens", "revoke", "4711"], "There is no token 4711."),
    ],
)
def test_what_is_refused_is_refused_in_a_sentence(on_database: Run, words: list[str], reason: str) -> None:
    refused = on_database(*words)
    assert refused.exit_code != 0
    assert reason in refused.stderr
    assert "Traceback" not in refused.output


def test_verify_finds_nothing_in_a_sound_database(on_database: Run) -> None:
    sound = on_database("verify")
    assert (sound.exit_code, sound.stdout) == (0, "No contradictions.\n")


def test_verify_names_what_contradicts(on_database: Run, services) -> None:
    with services.engine.begin() as connection:
        statement = (
            "INSERT INTO task_counts"
            " (batch_id, run, kind, shard, queued, leased, completed, failed, critical, skipped, found,"
            " input_tokens, output_tokens, cost_nanos, touched_at)"
            " VALUES (1, 1, 'STAGE', 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, '2026-11-01 00:00:00')"
        )
        connection.execute(text(statement))
    unsound = on_database("verify")
    assert unsound.exit_code == 1
    assert "the counts of a run equal the numbers of its tasks" in unsound.stdout


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"PORT": "http"}, "Wrong settings: PORT: "),
        ({"DATABASE_URL": "nonsense"}, "Wrong settings: DATABASE_URL: "),
        ({"DATABASE_URL": "mysql://u@h/d"}, "Wrong settings: DATABASE_URL: mysql:// is not supported; sqlite:// and"),
        ({"DATABASE_URL": "sqlite:////proc/nowhere/x.db"}, "No such file or directory: /proc/nowhere"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "The database does not answer."),
    ],
)
def test_wrong_settings_are_one_sentence(run: Run, monkeypatch, settings: dict[str, str], message: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    wrong = run("migrate")
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith(f"Error: {message}")
