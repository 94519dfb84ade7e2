"""What a terminal gets: a table, without what would control the terminal."""

import os
import pty
import subprocess
import sys

import pytest

from app.commands.output import printable
from interlock import Client
from tests.commands.conftest import completed
from tests.support.process import ROOT
from tests.support.server import KEPT_ENVIRONMENT, LiveServer
from tests.support.waiting import LIMIT_SECONDS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[31mb", "a [31mb"),
        ("a\nb\tc", "a b c"),
        ("\u202eabc", " abc"),
        ("Grüße 漢字", "Grüße 漢字"),
    ],
)
def test_a_text_does_not_control_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def on_terminal(server: LiveServer, *words: str) -> str:
    """Run a command with a terminal as its stdout, and return what it shows."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    kept |= {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens["viewer"], "TERM": "xterm", "COLUMNS": "160"}
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "app.command", *words]
    process = subprocess.Popen(command, cwd=ROOT, env=kept, stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(LIMIT_SECONDS) == 0, shown.decode()
    return shown.decode()


def test_a_terminal_gets_a_table(service_with_worker: LiveServer) -> None:
    with Client(service_with_worker.url, service_with_worker.tokens["admin"]) as client:
        batch_id = completed(client, "on a terminal [red]")
    shown = on_terminal(service_with_worker, "batches", "list", "--name", "on a terminal")
    assert "on a terminal [red]" in shown
    assert str(batch_id) in shown
    assert "{" not in shown
    assert "COMPLETED" in on_terminal(service_with_worker, "watch", str(batch_id))
