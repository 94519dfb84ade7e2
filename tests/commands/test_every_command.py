"""Each command on a real service, in each output; the table of them is complete."""

import json
from collections.abc import Iterator

import click
import pytest

from app.command import interlock
from app.commands.output import FORMS
from app.commands.service_command import ServiceCommand
from app.domain.transitions import ACTIONS
from interlock import Client
from tests.commands.conftest import Run, at_work, completed, made
from tests.support.server import LiveServer

# command -> its words; {batch} is a batch that is COMPLETED, {saved} one that is SAVED
WORDS = {
    "batches list": "batches list --state completed",
    "batches show": "batches show {batch}",
    "batches create": "batches create --name created",
    "batches duplicate": "batches duplicate {batch}",
    "batches add": "batches add {saved} {file}",
    "batches rename": "batches rename {saved} another",
    "batches archive": "batches archive {saved}",
    "batches results": "batches results {batch}",
    "batches report": "batches report {batch}",
    "batches audit": "batches audit {batch}",
    "batches actions": "batches actions {batch}",
    **{f"batches {action}": f"batches {action} {{ready for {action}}}" for action in ACTIONS},
    "run": "run {file} --prompt {{document}} --model local/textstats",
    "watch": "watch {batch}",
    "wait": "wait {batch} --for COMPLETED",
    "tasks": "tasks {batch}",
    "workers": "workers",
    "connections": "connections",
    "requests": "requests {batch}",
    "tokens list": "tokens list",
    "tokens create": "tokens create {name} --role viewer",
    "tokens revoke": "tokens revoke {token}",
    "webhooks list": "webhooks list",
    "webhooks show": "webhooks show {webhook}",
    "webhooks create": "webhooks create {receiver} --type batch.completed",
    "webhooks change": "webhooks change {webhook} --disable",
    "webhooks delete": "webhooks delete {webhook}",
    "webhooks rotate": "webhooks rotate {webhook}",
    "webhooks test": "webhooks test {webhook}",
    "webhooks deliveries": "webhooks deliveries {webhook}",
    "webhooks replay": "webhooks replay {webhook} --since 2026-11-01T00:00:00Z",
    "api": "api GET /api/batches/{batch}",
}


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def test_each_command_of_the_service_is_in_the_table() -> None:
    assert set(WORDS) == {name for name, command in commands(interlock) if isinstance(command, ServiceCommand)}


def ready_for(client: Client, action: str) -> int:
    """Bring a batch into a state in which the action is possible."""
    if action == "stage":
        return made(client, f"ready for {action}")
    if action == "run":
        batch_id = made(client, "ready for run")
        client.act(batch_id, "stage")
        return client.wait(batch_id, {"STAGED"}, timeout_seconds=120)["id"]
    batch_id = (at_work if action in ("pause", "resume", "cancel") else completed)(client, f"ready for {action}")
    if action == "resume":
        client.act(batch_id, "pause")
    return batch_id


@pytest.mark.parametrize("name", WORDS)
def test_its_json_parses(name: str, run: Run, client: Client, tmp_path, request) -> None:
    receiver = request.getfixturevalue("receiver").url if name.startswith("webhooks ") else ""
    words = words_of(name, client, tmp_path, f"{request.node.name} json", receiver)
    done = run(*words, "-o", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) is not None


def words_of(name: str, client: Client, tmp_path, unique: str, receiver: str) -> list[str]:
    """Fill in the words of a command."""
    words = []
    for word in WORDS[name].replace("{ready for ", "{ready_for_").split():
        if word == "{batch}":
            word = str(completed(client, unique))
        elif word == "{saved}":
            word = str(made(client, unique))
        elif word.startswith("{ready_for_"):
            word = str(ready_for(client, word[len("{ready_for_") : -1]))
        elif word == "{file}":
            (tmp_path / "a.txt").write_text("One document.")
            word = str(tmp_path / "a.txt")
        elif word == "{name}":
            word = unique[:90]
        elif word == "{token}":
            word = str(client.create_token(unique[:90], "viewer")["id"])
        elif word == "{receiver}":
            word = receiver
        elif word == "{webhook}":
            word = str(client.webhooks.create(receiver, ["batch.completed"])["id"])
        elif word == "/api/batches/{batch}":
            word = f"/api/batches/{completed(client, unique)}"
        words.append(word.replace("{{", "{").replace("}}", "}"))
    return words


READS = ["batches list", "batches show", "batches results", "batches audit", "tasks", "workers", "connections"]


@pytest.fixture(scope="module")
def batch_id(service_with_worker: LiveServer) -> int:
    with Client(service_with_worker.url, service_with_worker.tokens["admin"]) as client:
        return completed(client, "read in each output")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", READS)
def test_each_output(name: str, form: str, run: Run, batch_id: int) -> None:
    done = run(*WORDS[name].replace("{batch}", str(batch_id)).split(), "-o", form)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip()
    assert done.stderr == ""
    if form == "jsonl":
        assert all(json.loads(line) for line in done.stdout.splitlines())
    if form == "name":
        assert "{" not in done.stdout


def test_a_pipe_gets_json_lines_and_a_setting_or_flag_changes_that(run: Run, batch_id: int) -> None:
    assert json.loads(run("batches", "show", batch_id).stdout)["id"] == batch_id
    assert run("batches", "show", batch_id, INTERLOCK_OUTPUT="name").stdout == f"{batch_id}\n"
    assert json.loads(run("batches", "show", batch_id, "-o", "json", INTERLOCK_OUTPUT="name").stdout)["id"] == batch_id
    wrong = run("batches", "show", batch_id, INTERLOCK_OUTPUT="yaml")
    assert wrong.exit_code == 2
    assert "the outputs are: table, json, jsonl, name" in wrong.stderr


@pytest.mark.parametrize("name", [*WORDS, "completion", "serve", "demo"])
def test_each_command_says_what_it_does(name: str, run: Run) -> None:
    shown = run(*name.split(), "--help")
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: interlock {name} ")
    assert len(shown.output.splitlines()[2].strip()) > 15


def test_the_first_page_names_every_command(run: Run) -> None:
    shown = run("--help").output
    assert all(f"\n  {name.split()[0]} " in shown for name in [*WORDS, "serve", "migrate", "demo", "completion"])
