"""`run`, `watch`, `wait`, and what creates a batch: from files to answers."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from app.commands import watching
from app.commands.exit_codes import Exit
from app.demo.waiting import sentences
from interlock import Client
from tests.commands.conftest import Run, at_work, completed, lines_of, made
from tests.support.process import ROOT
from tests.support.waiting import LIMIT_SECONDS, wait_until

MESSAGES = '[{"role": "user", "content": "Is this polite?"}]'
REQUEST = '"method": "POST", "url": "/v1/chat/completions"'
LINE = f'{{"custom_id": "m-%d", {REQUEST}, "body": {{"model": "%s", "messages": {MESSAGES}}}}}\n'


def test_files_become_answers(run: Run) -> None:
    samples = sorted((ROOT / "samples").glob("*.md"))
    done = run("run", *samples, "--prompt", "Summarise: {document}", "--model", "local/textstats")
    rows = lines_of(done)
    assert {row["document"]["name"] for row in rows} == {path.name for path in samples}
    assert all(row["result"]["text"] for row in rows)
    assert " is created: http" in done.stderr


def test_a_folder_becomes_answers(run: Run, tmp_path: Path) -> None:
    (tmp_path / "letters" / "old").mkdir(parents=True)
    (tmp_path / "letters" / "a.txt").write_text("One.")
    (tmp_path / "letters" / "old" / "b.txt").write_text("Two.")
    (tmp_path / "letters" / ".hidden").write_text("Not this.")
    (tmp_path / "prompt").write_text("How long is {document}?")
    words = ["run", tmp_path / "letters", "--prompt", f"@{tmp_path}/prompt", "--prompt", "{document}"]
    rows = lines_of(run(*words, "--model", "local/textstats", "--option", "max_attempts=1", "--name", "letters"))
    assert {(row["document"]["name"], row["prompt"]) for row in rows} == {
        (name, prompt) for name in ("a.txt", "b.txt") for prompt in ("prompt 1", "prompt 2")
    }


def test_ready_made_lines_become_answers(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("".join(LINE % (number, "textstats") for number in range(3)))
    rows = lines_of(run("run", tmp_path / "lines.jsonl"))
    assert sorted(row["custom_id"] for row in rows) == ["m-0", "m-1", "m-2"]
    wrong = run("run", tmp_path / "lines.jsonl", "--prompt", "x")
    assert wrong.exit_code == Exit.USAGE


def test_a_batch_is_created_of_ready_made_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("".join(LINE % (number, "textstats") for number in range(3)))
    (batch,) = lines_of(run("batches", "create", tmp_path / "lines.jsonl", "--name", "of lines"))
    assert (batch["name"], batch["input"]["ready_tasks"]) == ("of lines", 3)
    assert run("batches", "create", tmp_path / "lines.jsonl").exit_code == Exit.USAGE


def test_who_waits_reads_why(run: Run, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run waits for a worker that does not come; the command says so, and goes on until the batch has ended."""
    was_told = threading.Event()

    def told(*args: Any) -> list[str]:
        if found := sentences(*args):
            was_told.set()
        return found

    monkeypatch.setattr(watching, "TOLD_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(watching, "sentences", told)
    (tmp_path / "a.txt").write_text("One.")
    words = ["run", tmp_path / "a.txt", "--prompt", "x", "--model", "nobody/nothing", "--name", "too long"]
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(run, *words)
        wait_until(was_told.is_set)
        (batch,) = client.batches(name="too long")
        client.wait(batch["id"], {"ANALYZING"}, timeout_seconds=LIMIT_SECONDS)
        client.act(batch["id"], "cancel")
        done = following.result(LIMIT_SECONDS)
    assert done.exit_code == Exit.FAILED
    assert done.stderr.count("No worker seems to be running that can call the connection nobody") == 1


def test_documents_without_a_prompt_are_refused(run: Run, tmp_path: Path) -> None:
    assert run("run", tmp_path, "--prompt", "x", "--model", "local/textstats").exit_code == Exit.USAGE


def test_a_batch_is_created_of_files_and_flags(run: Run, client: Client, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text("The same." if name != "a.txt" else "Another.")
    words = ["batches", "create", tmp_path, "--name", "of flags", "--prompt", "{document}"]
    done = run(*words, "--model", "local/textstats", "--option", "max_cost=2", "--option", "priority=3")
    (batch,) = lines_of(done)
    assert batch["input"] | {"file_id": None} == {
        "documents": 2, "prompts": 1, "models": 1, "ready_tasks": 0, "file_id": None,
    }  # fmt: skip
    assert (batch["options"]["max_cost"], batch["options"]["priority"]) == (2.0, 3)
    assert "c.txt is left out: it has the content of b.txt." in done.stderr
    (copy,) = lines_of(run("batches", "duplicate", batch["id"], "--name", "a copy", "--option", "priority=1"))
    assert (copy["name"], copy["input"], copy["options"]["priority"]) == ("a copy", batch["input"], 1)


def test_a_batch_is_created_of_a_body(run: Run) -> None:
    body = f"@{ROOT / 'examples' / 'rated-letters.json'}"
    (batch,) = lines_of(run("batches", "create", "--body", body, "--name", "of a body"))
    assert (batch["name"], batch["input"]["documents"]) == ("of a body", 2)


def test_each_change_is_a_line(run: Run, client: Client) -> None:
    batch_id = made(client, "watched")
    client.act(batch_id, "stage", context={"run_when_staged": True})
    rows = lines_of(run("watch", batch_id))
    assert rows[-1]["state"] == "COMPLETED"
    assert all(before != after for before, after in pairwise(rows))


def test_several_batches_are_waited_for(run: Run, client: Client) -> None:
    ids = [completed(client, "waited for"), at_work(client, "waited for, too")]
    rows = lines_of(run("wait", *ids, "--for", "completed", "--for", "ANALYZING"))
    assert [row["id"] for row in rows] == ids
    client.act(ids[1], "cancel")


def test_results_and_reports(run: Run, client: Client, tmp_path: Path) -> None:
    batch_id = completed(client, "results and reports")
    (file,) = lines_of(run("batches", "results", batch_id, "--parquet", tmp_path / "x.parquet"))
    assert file == {"file": str(tmp_path / "x.parquet"), "rows": 2}
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 2
    of_openai = lines_of(run("batches", "results", batch_id, "--format", "openai", "--run", 1))
    assert of_openai[0]["response"]["status_code"] == 200
    csv = run("batches", "report", batch_id, "--csv").stdout.lstrip("\ufeff").splitlines()
    assert csv[0].startswith("task_id,")
    assert len(csv) == 3
    report = json.loads(run("batches", "report", batch_id, "-o", "json").stdout)
    assert len(report["documents"]) == 2
    table = run("batches", "report", batch_id, "-o", "table").stdout
    assert "mean score" in table
    assert all(name in table for name in ("textstats", "summary", "0.txt", "1.txt"))


def test_one_task_and_one_request(run: Run, client: Client) -> None:
    batch_id = completed(client, "one task")
    rows = lines_of(run("tasks", batch_id, "--status", "completed", "--first", 1))
    (task,) = lines_of(run("tasks", "--task", rows[0]["id"]))
    assert task["id"] == rows[0]["id"]
    assert run("requests", "--request", "none").exit_code == Exit.REFUSED


@pytest.mark.parametrize("words", [["-d", '{"name": "by api"}'], ["-d", "@{file}", "-H", "X-Request-Id: mine"]])
def test_any_call(run: Run, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "body").write_text('{"name": "by api"}')
    (batch,) = lines_of(
        run(
            "api",
            "post",
            "/api/batches",
            *(word.format(file=tmp_path / "body") if "@" in word else word for word in words),
        )
    )
    assert batch["name"] == "by api"
