"""The verbs: one batch or many, with reasons, versions, limits and dry runs; a locked batch is waited for."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.commands.exit_codes import Exit
from interlock import Client
from tests.commands.conftest import Run, at_work, lines_of, made
from tests.commands.terminal import CTRL_C, on_terminal
from tests.support.row_locks import row_locks
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until


def test_a_reason_and_a_version(run: Run, client: Client) -> None:
    batch_id = made(client, "with a reason")
    (row,) = lines_of(run("batches", "stage", batch_id, "--reason", "the weekly run", "--if-version", 1))
    assert (row["outcome"], row["version"], row["reason"]) == ("done", 2, None)
    assert [each["reason"] for each in client.audit(batch_id)][1] == "the weekly run"


def test_a_dry_run_changes_nothing(run: Run, client: Client) -> None:
    batch_id = made(client, "rehearsed")
    (row,) = lines_of(run("batches", "stage", batch_id, "--dry-run"))
    assert (row["outcome"], row["state"], row["effect"]["calls"]) == ("dry run", "STAGING", 2)
    assert client.batch(batch_id)["version"] == 1


@pytest.mark.parametrize(("value", "limit"), [("max_cost=2", 2.0), ("max_cost=none", None)])
def test_limits_of_a_run(run: Run, client: Client, value: str, limit: float | None) -> None:
    batch_id = at_work(client, "limited")
    client.act(batch_id, "pause")
    lines_of(run("batches", "resume", batch_id, "--limit", value))
    assert client.batch(batch_id)["options"]["max_cost"] == limit
    client.act(batch_id, "cancel")


def test_the_context(run: Run, client: Client) -> None:
    batch_id = made(client, "with a context")
    lines_of(run("batches", "stage", batch_id, "--context", "run_when_staged=true", "--context", "ticket=47-11"))
    assert [each["context"] for each in client.audit(batch_id)][1] == {"run_when_staged": True, "ticket": "47-11"}
    assert client.wait(batch_id, timeout_seconds=LIMIT_SECONDS)["state"] == "COMPLETED"


def test_many_batches_each_with_its_answer(run: Run, client: Client) -> None:
    ids = [made(client, "in bulk, by id") for _ in range(3)]
    client.act(ids[1], "stage")
    done = run("batches", "stage", *ids)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["batch_id"], row["outcome"]) for row in rows] == list(
        zip(ids, ["done", "refused", "done"], strict=True)
    )
    assert rows[1]["reason"].startswith("stage needs a batch that is SAVED")
    assert done.exit_code == Exit.REFUSED


def test_different_failures_are_failed(run: Run, client: Client) -> None:
    at, none = made(client, "in bulk, different"), 999_999
    client.act(at, "stage")
    assert run("batches", "stage", at, none).exit_code == Exit.REFUSED
    done = run("batches", "stage", at, made(client, "in bulk, done"), INTERLOCK_TOKEN="wrong")
    assert done.exit_code == Exit.NOT_SIGNED_IN


def test_all_batches_that_match(run: Run, client: Client) -> None:
    ids = [made(client, "in bulk, by filter") for _ in range(3)]
    asked = run("batches", "stage", "--name", "in bulk, by filter", "--state", "SAVED")
    assert asked.exit_code == Exit.USAGE
    assert "3 batches match: give --yes to stage them." in asked.stderr
    rehearsed = lines_of(run("batches", "stage", "--name", "in bulk, by filter", "--dry-run"))
    assert [row["outcome"] for row in rehearsed] == ["dry run"] * 3
    rows = lines_of(run("batches", "stage", "--name", "in bulk, by filter", "--yes"))
    assert sorted(row["batch_id"] for row in rows) == ids
    assert lines_of(run("batches", "stage", "--name", "no batch has this name", "--yes")) == []


QUESTION = "Request stage for 2 batches? [y/N]:"


@pytest.mark.parametrize("pipes", [False, True], ids=["terminal", "pipe"])
@pytest.mark.parametrize("answer", ["y\n", "n\n", "\n", CTRL_C], ids=["yes", "no", "nothing", "interrupted"])
def test_a_terminal_is_asked_before_many_are_changed(
    service_with_worker: LiveServer, client: Client, answer: str, pipes: bool, request: pytest.FixtureRequest
) -> None:
    name = request.node.name
    ids = [made(client, name) for _ in range(2)]
    words = ["batches", "stage", "--name", name, "-o", "jsonl"]
    shown = on_terminal(
        service_with_worker, *words, role="operator", question=QUESTION, answer=answer, pipes=pipes,
        in_a_new_interpreter=answer == CTRL_C,
    )  # fmt: skip
    assert QUESTION in shown.terminal
    is_yes = answer == "y\n"
    assert shown.exit_code == (Exit.DONE if is_yes else Exit.FAILED), shown.terminal
    assert [client.batch(batch_id)["version"] > 1 for batch_id in ids] == [is_yes] * 2
    if pipes:
        rows = [json.loads(line) for line in shown.piped.splitlines()]
        assert [row["outcome"] for row in rows] == ["done"] * 2 * is_yes


def test_a_terminal_is_not_asked_about_a_dry_run_or_after_yes(service_with_worker: LiveServer, client: Client) -> None:
    made(client, "not asked about")
    for more in ("--dry-run", "--yes"):
        words = ["batches", "stage", "--name", "not asked about", more]
        shown = on_terminal(service_with_worker, *words, role="operator")
        assert shown.exit_code == Exit.DONE
        assert "[y/N]" not in shown.terminal


def test_names_of_a_list_are_the_words_of_a_verb(run: Run, client: Client) -> None:
    ids = [made(client, "in bulk, by names") for _ in range(2)]
    names = run("batches", "list", "--name", "in bulk, by names", "-o", "name").stdout.split()
    assert sorted(map(int, names)) == ids
    assert len(lines_of(run("batches", "stage", *names))) == 2


@pytest.mark.parametrize("is_decided", [True, False], ids=["applied", "refused"])
def test_a_locked_batch_is_waited_for(run: Run, shared_servers: SharedServers, is_decided: bool) -> None:
    """On PostgreSQL alone: SQLite has no row locks."""
    shared = shared_servers("postgresql")
    service = {"INTERLOCK_URL": shared.server.url, "INTERLOCK_TOKEN": shared.server.tokens["operator"]}
    with Client(shared.server.url, shared.server.tokens["operator"]) as client, ThreadPoolExecutor(1) as threads:
        batch_id = made(client, "locked")
        with row_locks(shared.database_url)(batch_id):
            asked = threads.submit(run, "batches", "stage" if is_decided else "pause", batch_id, **service)
            wait_until(lambda: list(client.requests(batch_id)))
        done = asked.result(LIMIT_SECONDS)
    assert f"Batch {batch_id} is locked: the request is number 1 in line." in done.stderr
    assert done.exit_code == (Exit.DONE if is_decided else Exit.REFUSED)
