"""What a terminal gets: a table, without what would control the terminal."""

import pytest

from app.commands.output import printable
from interlock import Client
from tests.commands.conftest import completed
from tests.commands.terminal import on_terminal
from tests.support.server import LiveServer


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


def test_a_terminal_gets_a_table(service_with_worker: LiveServer) -> None:
    with Client(service_with_worker.url, service_with_worker.tokens["admin"]) as client:
        batch_id = completed(client, "on a terminal [red]")
    words = ("batches", "list", "--name", "on a terminal")
    shown = on_terminal(service_with_worker, *words, in_a_new_interpreter=True)
    assert shown.exit_code == 0, shown.terminal
    assert "on a terminal [red]" in shown.terminal
    assert str(batch_id) in shown.terminal
    assert "{" not in shown.terminal
    watched = on_terminal(service_with_worker, "watch", str(batch_id))
    assert watched.exit_code == 0, watched.terminal
    assert "COMPLETED" in watched.terminal
