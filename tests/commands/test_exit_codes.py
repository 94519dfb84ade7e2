"""Every exit code is seen, with a sentence on stderr and nothing on stdout."""

import pytest

from app.commands import service_command
from app.commands.exit_codes import Exit, exit_code_of
from interlock import Client, errors
from tests.commands.conftest import Run, at_work, made


def test_done(run: Run) -> None:
    assert run("batches", "list").exit_code == Exit.DONE == 0


def test_failed(run: Run, client: Client) -> None:
    batch_id = at_work(client, "cancelled")
    client.act(batch_id, "cancel", reason="wrong prompt")
    for words in (["watch", batch_id], ["wait", batch_id], ["wait", batch_id, "--for", "COMPLETED"]):
        done = run(*words)
        assert done.exit_code == Exit.FAILED == 1
        assert done.stderr == f"Error: Batch {batch_id} is FAILED: cancelled: wrong prompt.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["batches", "explode", "1"], "No such command 'explode'. The commands are: actions, add, "),
        (["batches", "shw", "1"], "No such command 'shw'. Did you mean 'show'?"),
        (["nonsense"], "No such command 'nonsense'. The commands are: api, batches, "),
        (["batches", "list", "--nonsense"], "No such option '--nonsense'. The options are: --state, --name, --first"),
        (["--nonsense"], "No such option '--nonsense'. The options are: --version, --help."),
        (["serve", "--nonsense"], "No such option '--nonsense'. The options are: "),
        (["batches", "list", "--state", "EXPLODED"], "'completed'"),
        (["batches", "pause"], "Give the ids of batches, or --state or --name."),
        (["batches", "pause", "1", "--state", "PAUSED"], "Give the ids of batches, or --state or --name."),
        (["batches", "pause", "1", "2", "--if-version", "3"], "--if-version is for one batch."),
        (["batches", "resume", "1", "--limit", "max_cost"], "is not written as NAME=VALUE"),
        (["batches", "create", "--model", "textstats"], "is not written as CONNECTION/MODEL"),
        (["batches", "create", "--body", "nonsense"], "is no JSON"),
        (["batches", "create", "--prompt", "@/no/such/file"], "cannot be read: No such file or directory"),
        (["api", "GET", "http://127.0.0.1/"], "has to begin with one slash"),
        (["api", "GET", "//evil.example/"], "has to begin with one slash"),
        (["tasks"], "Give the id of a batch, or --task."),
        (["requests"], "Give the id of a batch, or --request."),
        (["run", "."], "Documents need --prompt and --model."),
        (["batches", "list", "--url", "nonsense"], "is not an address such as"),
    ],
)
def test_usage(run: Run, words: list[str], message: str) -> None:
    done = run(*words)
    assert done.exit_code == Exit.USAGE == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_no_token_is_usage(run: Run) -> None:
    done = run("batches", "list", INTERLOCK_TOKEN=None)
    assert done.exit_code == Exit.USAGE
    assert "No token: set INTERLOCK_TOKEN, give --token-file, or write a profile" in done.stderr


def test_refused(run: Run, client: Client) -> None:
    batch_id = made(client, "refused")
    done = run("batches", "pause", batch_id)
    assert done.exit_code == Exit.REFUSED == 3
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "Error: pause needs a batch that is ANALYZING; this one is SAVED.",
        "Possible now: stage, reset.",
    ]


def test_refused_for_a_wrong_field(run: Run) -> None:
    done = run("batches", "create", "--name", "x", "--option", "max_costs=2")
    assert done.exit_code == Exit.REFUSED
    assert "options.max_costs: " in done.stderr


def test_not_found_and_forbidden_are_refused(run: Run, service_with_worker) -> None:
    assert run("batches", "show", 999_999).exit_code == Exit.REFUSED
    viewer = service_with_worker.tokens["viewer"]
    assert run("batches", "create", "--name", "x", INTERLOCK_TOKEN=viewer).exit_code == Exit.REFUSED


def test_not_signed_in(run: Run) -> None:
    assert run("batches", "list", INTERLOCK_TOKEN="wrong").exit_code == Exit.NOT_SIGNED_IN == 4


def test_version_conflict(run: Run, client: Client) -> None:
    done = run("batches", "stage", made(client, "conflict"), "--if-version", 99)
    assert done.exit_code == Exit.VERSION_CONFLICT == 5
    assert "You expected version 99; the batch is at version 1." in done.stderr


@pytest.mark.parametrize("words", [["wait", "--for", "PAUSED"], ["wait"], ["watch"]])
def test_timeout(run: Run, client: Client, words: list[str]) -> None:
    batch_id = at_work(client, "for ever")
    done = run(*words, batch_id, "--timeout", 0.3)
    assert done.exit_code == Exit.TIMEOUT == 6
    assert f"Batch {batch_id} is still ANALYZING" in done.stderr
    client.act(batch_id, "cancel")


def test_service_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_command, "RETRY_SECONDS", 0.5)
    done = run("batches", "list", INTERLOCK_URL="http://127.0.0.1:1")
    assert done.exit_code == Exit.SERVICE_AWAY == 7
    assert done.stderr.startswith("Error: The service at http://127.0.0.1:1 does not answer: ")


@pytest.mark.parametrize("code", errors.codes())
def test_each_refusal_has_its_exit_code(code: str) -> None:
    assert exit_code_of(errors.refusal(409, {"code": code})) in set(Exit) - {Exit.DONE, Exit.USAGE, Exit.TIMEOUT}
