"""`webhooks`: created, tried, changed, rotated, and their messages read and sent again."""

import json
from pathlib import Path

import pytest
from standardwebhooks import Webhook as StandardWebhook

from app.commands.exit_codes import Exit
from interlock import Client
from tests.commands.conftest import Run, completed, lines_of
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import wait_until

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TYPES = ("--type", "batch.completed", "--type", "batch.failed")


def created(run: Run, receiver: Receiver) -> dict:
    (webhook,) = lines_of(run("webhooks", "create", receiver.url, *TYPES, "--description", "for a test"))
    return webhook


def test_a_webhook_gets_what_its_commands_say(run: Run, client: Client, receiver: Receiver) -> None:
    webhook = created(run, receiver)
    assert (webhook["types"], webhook["description"]) == (["batch.completed", "batch.failed"], "for a test")
    batch_id = completed(client, "told to a webhook")
    found = wait_until(lambda: [each for each in receiver.received if each.json["data"].get("batch_id") == batch_id])
    assert StandardWebhook(webhook["secret"]).verify(found[0].body, dict(found[0].headers))
    wait_until(lambda: run("webhooks", "deliveries", webhook["id"], "--status", "delivered", "-o", "name").stdout)
    rows = lines_of(run("webhooks", "deliveries", webhook["id"]))
    assert found[0].id in [row["message_id"] for row in rows]
    (answer,) = lines_of(run("webhooks", "replay", webhook["id"], found[0].id))
    assert answer == {"webhook_id": webhook["id"], "replayed": 1}
    wait_until(lambda: receiver.ids.count(found[0].id) == 2)


def test_the_secret_is_shown_by_create_and_rotate_alone(run: Run, receiver: Receiver) -> None:
    webhook = created(run, receiver)
    (rotated,) = lines_of(run("webhooks", "rotate", webhook["id"]))
    assert rotated["secret"] != webhook["secret"]
    (shown,) = lines_of(run("webhooks", "show", webhook["id"]))
    assert ("secret" in shown, shown["secrets"]) == (False, 2)
    assert not [row for row in lines_of(run("webhooks", "list")) if "secret" in row]


def test_a_test_says_what_became_of_its_message(run: Run, receiver: Receiver) -> None:
    webhook = created(run, receiver)
    (tried,) = lines_of(run("webhooks", "test", webhook["id"]))
    assert (tried["delivered"], receiver.types) == (True, ["webhook.test"])
    receiver.answer = lambda _: Answer(500)
    refused = run("webhooks", "test", webhook["id"])
    assert refused.exit_code == Exit.FAILED
    assert json.loads(refused.stdout)["http_status"] == 500
    assert refused.stderr.startswith("Error: The message was not taken: ")


def test_it_is_changed_and_deleted(run: Run, receiver: Receiver) -> None:
    webhook_id = created(run, receiver)["id"]
    (changed,) = lines_of(run("webhooks", "change", webhook_id, "--type", "limit.near", "--description", "money"))
    assert (changed["types"], changed["description"], changed["enabled"]) == (["limit.near"], "money", True)
    assert lines_of(run("webhooks", "change", webhook_id, "--to", f"{receiver.url}&2"))[0]["url"].endswith("&2")
    assert lines_of(run("webhooks", "change", webhook_id, "--to", receiver.url))[0]["url"] == receiver.url
    assert lines_of(run("webhooks", "change", webhook_id, "--disable"))[0]["enabled"] is False
    assert lines_of(run("webhooks", "change", webhook_id, "--enable"))[0]["enabled"] is True
    assert lines_of(run("webhooks", "delete", webhook_id)) == [{"id": webhook_id, "deleted": True}]
    assert run("webhooks", "show", webhook_id).exit_code == Exit.REFUSED


def test_a_digest(run: Run, client: Client, tmp_path: Path) -> None:
    """Its URL is a secret: it is read of a file, and no command shows it."""
    (tmp_path / "url").write_text(f"{SLACK}\n")
    words = ("--format", "apprise", "--digest-minutes", 10, "--type", "batch.failed")
    (webhook,) = lines_of(run("webhooks", "create", f"@{tmp_path}/url", *words))
    try:
        assert (webhook["format"], webhook["digest_minutes"]) == ("apprise", 10)
        (changed,) = lines_of(run("webhooks", "change", webhook["id"], "--digest-minutes", 60, "--disable"))
        assert (changed["digest_minutes"], changed["enabled"]) == (60, False)
        assert SLACK not in "".join(map(str, [webhook, changed, run("webhooks", "list").stdout]))
        assert run("webhooks", "rotate", webhook["id"]).exit_code == Exit.REFUSED
    finally:
        client.webhooks.delete(webhook["id"])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("create http://10.0.0.1/ --type batch.failed", Exit.REFUSED, "url: "),
        ("create https://example.com/ --type batch.eaten", Exit.USAGE, "'batch.eaten' is not one of"),
        ("create https://example.com/", Exit.USAGE, "Missing option '--type'"),
        ("create @/no/such/file --type batch.failed", Exit.USAGE, "cannot be read: No such file or directory"),
        ("create slack://x --type batch.failed --digest-minutes 0", Exit.USAGE, "0 is not in the range"),
        ("change 1", Exit.USAGE, "Give --to, --type, --description, --digest-minutes, --enable or --disable."),
        ("replay 1", Exit.USAGE, "Give the ids of messages, or --since with or without --until."),
        ("replay 1 --until 2026-11-26T00:00:00Z", Exit.USAGE, "Give the ids of messages"),
        ("replay 1 msg_1_1 --since 2026-11-26T00:00:00Z", Exit.USAGE, "Give the ids of messages"),
        ("test 999999", Exit.REFUSED, "999999"),
    ],
)
def test_what_is_wrong_is_named(run: Run, words: str, code: Exit, message: str) -> None:
    done = run("webhooks", *words.split())
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr


def test_an_operator_may_not(run: Run, service_with_worker) -> None:
    done = run("webhooks", "list", INTERLOCK_TOKEN=service_with_worker.tokens["operator"])
    assert done.exit_code == Exit.REFUSED
