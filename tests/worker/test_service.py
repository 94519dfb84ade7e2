"""The worker, the minimal worker and the demo against the real service, with kills and interruptions."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from rich.console import Console

from app.demo import batch as demo_batch
from app.demo import client as demo_client
from app.demo.run import run_demo
from tests.support.batches import Batch
from tests.support.documents import write_documents
from tests.support.postgres import free_port
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.conftest import ROOT

Start = Callable[..., "subprocess.Popen[bytes]"]
DEMO = (
    "import sys; from rich.console import Console; from app.demo.run import run_demo;"
    "sys.exit(run_demo(*sys.argv[1:], Console()))"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start processes of this project with the URL and a token in their environment. They are stopped at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start_process(server: LiveServer, *arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
        address = {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens["worker"]}
        environment = {**os.environ, **address, **settings}
        with (tmp_path / f"log-{len(started)}").open("wb") as log:
            process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log)
        started.append(process)
        return process

    yield start_process
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(server: LiveServer) -> bool:
    try:
        return requests.get(f"{server.url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def documents(amount: int) -> list[dict[str, str]]:
    return [{"name": f"{n}.txt", "text": f"This is the text of letter number {n}. It is short."} for n in range(amount)]


PROMPTS = [{"name": "p", "text": "Summarise: {document}"}, {"name": "q", "text": "{document}\n\nWhat is this?"}]
LOCAL = [{"connection": "local", "model": "textstats"}]


def test_a_batch_of_files_and_texts_is_seen_through(live_server: LiveServer, start: Start) -> None:
    start(live_server, "-m", "app.worker")
    with live_server.session() as http:
        batch = Batch(live_server, http, documents=documents(20), prompts=PROMPTS, models=LOCAL)
        files = [("files", ("a.md", b"# Title\n\nSome *text*.")), ("files", ("b.txt", "Grüße".encode("utf-16")))]
        assert http.post(f"{batch.url}/documents", files=files, timeout=LIMIT_SECONDS).status_code == 201
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        batch.reach("COMPLETED")
        results = batch.results()
        tasks = http.get(f"{batch.url}/tasks?limit=200", timeout=LIMIT_SECONDS).json()["tasks"]
    assert len(results) == len({line["task_id"] for line in results}) == 44
    assert all(task["attempt"] == 1 for task in tasks)
    by_name = {line["document"]["name"]: line["result"] for line in results if line["prompt"] == "p"}
    assert "English text" in by_name["0.txt"]["text"]
    assert by_name["0.txt"]["usage"]["input_tokens"] == 11
    assert by_name["a.md"]["usage"]["input_tokens"] == 4
    assert by_name["b.txt"]["json"]["terms"][-1] == {"term": "Grüße", "count": 1}


def test_ready_made_lines_and_a_model_that_nobody_has(live_server: LiveServer, start: Start) -> None:
    line = (
        '{"custom_id":"c%d","method":"POST","url":"/v1/chat/completions",'
        '"body":{"model":"%s","messages":[{"role":"user","content":"Hello there, you two."}]}}\n'
    )
    lines = "".join(line % (n, "textstats" if n else "gpt") for n in range(5))
    start(live_server, "-m", "app.worker")
    with live_server.session() as http:
        batch = Batch(live_server, http, lines=lines.encode())
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        batch.reach("COMPLETED")
        results = {line["custom_id"]: line for line in batch.results()}
    assert results["c0"]["error"]["code"] == "no_handler"
    assert "'gpt'" in results["c0"]["error"]["message"]
    assert results["c0"]["attempt"] == 1
    assert results["c1"]["result"]["usage"]["input_tokens"] == 4


def test_a_document_that_cannot_be_read_fails_the_staging_in_a_sentence(live_server: LiveServer, start: Start) -> None:
    start(live_server, "-m", "app.worker")
    with live_server.session() as http:
        batch = Batch(live_server, http, prompts=PROMPTS, models=LOCAL)
        http.post(f"{batch.url}/documents", files=[("files", ("scan.pdf", b"%PDF-1.7\0"))], timeout=LIMIT_SECONDS)
        batch.ask("stage")
        wait_until(lambda: batch.show()["state"] == "FAILED")
        failure = batch.show()["failure"]
        task = http.get(f"{live_server.url}/api/tasks/{failure['task_id']}", timeout=LIMIT_SECONDS).json()
    assert failure["code"] == "staging_failed"
    assert task["error"]["code"] == "unreadable"
    assert "'scan.pdf'" in task["error"]["message"]


def test_a_folder_of_all_kinds_is_seen_through(live_server: LiveServer, start: Start, tmp_path: Path) -> None:
    """Unreadable documents are left out, each with its reason. A link out of the root is tested in another batch."""
    root = tmp_path / "root"
    written = write_documents(root / "in", 120, seed=7)
    (root / "copy.txt").write_bytes(written[0].path.read_bytes())
    start(live_server, "-m", "app.worker", INTERLOCK_DOCUMENTS_ROOT=str(root))
    options = {"on_unreadable": "skip"}
    with live_server.session() as http:
        sent = [{"folder": "**/*"}]
        batch = Batch(live_server, http, documents=sent, prompts=PROMPTS[:1], models=LOCAL, options=options)
        batch.ask("stage")
        staging = batch.reach("STAGED")["progress"]["staging"]
        batch.ask("run")
        batch.reach("COMPLETED")
        read = {line["document"]["name"]: line["result"] for line in batch.results()}
        tasks = http.get(f"{batch.url}/tasks?limit=200", timeout=LIMIT_SECONDS).json()["tasks"]
        folder = http.get(f"{live_server.url}/api/tasks/{tasks[0]['id']}", timeout=LIMIT_SECONDS).json()
    unreadable = {f"in/{each.path.parent.name}/{each.name}" for each in written if not each.readable}
    assert (staging["total"], staging["skipped"], staging["failed"]) == (121, 12, 0)
    assert len(read) == 108
    assert not read.keys() & unreadable
    assert folder["result"]["duplicates"] == [{"name": f"in/000/{written[0].name}", "of": "copy.txt"}]
    skipped = {task["document"]["name"]: task["skipped"] for task in tasks if task["skipped"]}
    assert all(name in reason for name, reason in skipped.items())
    assert skipped.keys() <= unreadable


def test_a_folder_where_no_worker_has_a_root(live_server: LiveServer, start: Start) -> None:
    start(live_server, "-m", "app.worker")
    with live_server.session() as http:
        batch = Batch(live_server, http, documents=[{"folder": "**/*"}], prompts=PROMPTS, models=LOCAL)
        batch.ask("stage")
        wait_until(lambda: batch.show()["state"] == "FAILED")
    assert "INTERLOCK_DOCUMENTS_ROOT" in batch.show()["failure"]["message"]


def test_a_service_that_is_killed_and_started_again_loses_no_answer(
    start_server: Any, sqlite_url: str, start: Start
) -> None:
    port = free_port()
    server = start_server(sqlite_url, port=port)
    start(server, "-m", "app.worker", "--concurrency", "2", "--handler", "local=tests.worker.sample_handlers:slow")
    with server.session() as http:
        models = [{"connection": "local", "model": "slow"}]
        batch = Batch(
            server, http, documents=documents(20), prompts=PROMPTS, models=models, options={"lease_seconds": 5}
        )
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        wait_until(lambda: batch.show()["progress"]["analysis"]["completed"] >= 2)
        os.killpg(server.pid, signal.SIGKILL)
        server.process.wait()
        time.sleep(1.5)
        settings = {"DATABASE_URL": sqlite_url, "PORT": str(port), "ADMIN_TOKEN": server.tokens["admin"]}
        start(server, "-m", "app.cli", "serve", EMBEDDED_WORKER="0", **settings)
        wait_until(lambda: answers(server))
        done = batch.reach("COMPLETED")
        results = batch.results()
    assert done["progress"]["analysis"]["completed"] == 40
    assert len(results) == len({line["task_id"] for line in results}) == 40
    assert all(line["result"]["text"] == f"answer to {line['task_id']}" for line in results)


def test_sigterm_gives_real_leases_back_unharmed(start_server: Any, sqlite_url: str, start: Start) -> None:
    server = start_server(sqlite_url)
    worker = start(
        server, "-m", "app.worker", "--handler", "local=tests.worker.sample_handlers:deaf", "--grace-seconds", "1"
    )
    with server.session() as http:
        models = [{"connection": "local", "model": "deaf"}]
        batch = Batch(server, http, documents=documents(10), prompts=PROMPTS, models=models)
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        wait_until(lambda: batch.show()["progress"]["analysis"]["leased"] == 20)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(LIMIT_SECONDS) == 0
        assert batch.show()["progress"]["analysis"] == {
            "total": 20, "queued": 20, "leased": 0, "completed": 0, "failed": 0,
        }  # fmt: skip
        tasks = http.get(f"{batch.url}/tasks?limit=200", timeout=LIMIT_SECONDS).json()["tasks"]
        assert all(task["attempt"] == 0 for task in tasks if task["kind"] == "ANALYZE")


def test_a_cancelled_batch_stops_the_work_on_it(start_server: Any, sqlite_url: str, start: Start) -> None:
    server = start_server(sqlite_url)
    worker = start(
        server, "-m", "app.worker", "--handler", "local=tests.worker.sample_handlers:slow", "--concurrency", "1"
    )
    with server.session() as http:
        models = [{"connection": "local", "model": "slow"}]
        batch = Batch(
            server, http, documents=documents(10), prompts=PROMPTS, models=models, options={"lease_seconds": 3}
        )
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        wait_until(lambda: batch.show()["progress"]["analysis"]["leased"] >= 5)
        batch.ask("cancel")
        other = Batch(server, http, documents=documents(1), prompts=PROMPTS[:1], models=LOCAL)
        other.ask("stage")
        other.reach("STAGED")  # though twenty were in line before it, of which
    assert worker.poll() is None


def test_the_minimal_worker_sees_a_batch_through(live_server: LiveServer, start: Start) -> None:
    start(live_server, "examples/minimal_worker.py")
    with live_server.session() as http:
        batch = Batch(live_server, http, documents=documents(3), prompts=PROMPTS[:1], models=LOCAL)
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        batch.reach("COMPLETED")
        texts = [line["result"]["text"] for line in batch.results()]
    assert sorted(texts) == [f"SUMMARISE: THIS IS THE TEXT OF LETTER NUMBER {n}. IT IS SHORT." for n in range(3)]


# --- the demo


def shown(server: LiveServer, token: str | None = None, url: str | None = None) -> tuple[int, str]:
    output = io.StringIO()
    console = Console(file=output, width=200)
    return run_demo(url or server.url, token or server.tokens["operator"], console), output.getvalue()


def test_the_demo_goes_through_and_prints_results_and_audit_trail(live_server: LiveServer, start: Start) -> None:
    start(live_server, "-m", "app.worker")
    code, output = shown(live_server)
    assert code == 0
    for part in ("18 documents x 2 prompts x 1 model", "staging 18/18", "36 results for 36 tasks", "tasks_finished"):
        assert part in output
    assert "reading ease" in output


def test_a_demo_that_was_killed_is_continued_and_not_begun_again(
    live_server: LiveServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (live_server.url, live_server.tokens["operator"])
    with live_server.session() as http:
        killed = start(live_server, "-c", DEMO, *arguments)
        batches = f"{live_server.url}/api/batches"
        wait_until(
            lambda: [b for b in http.get(batches, timeout=LIMIT_SECONDS).json()["batches"] if b["state"] == "STAGING"]
        )
        killed.kill()
        start(live_server, "-m", "app.worker")
        code, output = shown(live_server)
        assert code == 0, output
        assert "Continuing batch 1, which is STAG" in output
        found = http.get(batches, timeout=LIMIT_SECONDS).json()["batches"]
    assert [batch["state"] for batch in found] == ["COMPLETED"]
    assert found[0]["progress"]["analysis"]["completed"] == 36


def test_a_paused_demo_is_resumed_and_a_finished_one_begun_anew(live_server: LiveServer, start: Start) -> None:
    with live_server.session() as http:
        start(live_server, "-m", "app.worker")
        paused = Batch(live_server, http, name=demo_batch.NAME, documents=documents(2), prompts=PROMPTS, models=LOCAL)
        paused.ask("stage")
        paused.reach("STAGED")
        http.post(f"{paused.url}/action", json={"action": "run"}, timeout=LIMIT_SECONDS)
        paused.reach("COMPLETED")
        code, output = shown(live_server)
        assert (code, "Batch 2 is created" in output) == (0, True)


def test_without_a_worker_the_demo_says_so_and_ends(live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_batch, "UNCHANGED_SECONDS", 1.0)
    code, output = shown(live_server)
    assert code == 1
    assert "No worker seems to be running" in output


def test_a_demo_that_somebody_paused_says_so_and_is_resumed_by_the_next(
    live_server: LiveServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_batch, "UNCHANGED_SECONDS", 1.0)
    worker = start(live_server, "-m", "app.worker")
    with live_server.session() as http:
        body = {"documents": documents(2), "prompts": PROMPTS, "models": LOCAL, "options": {"lease_seconds": 3}}
        batch = Batch(live_server, http, name=demo_batch.NAME, **body)
        batch.ask("stage")
        batch.reach("STAGED")
        worker.kill()  # its waiting lease may still be granted
        batch.ask("run")
        batch.ask("pause")
        monkeypatch.setattr(demo_batch, "request_action", lambda *_: None)
        code, output = shown(live_server)
        assert code == 1
        assert "paused it" in output
        monkeypatch.undo()
        start(live_server, "-m", "app.worker")
        code, output = shown(live_server)
        assert (code, "resume: done" in output) == (0, True), output
        assert batch.show()["state"] == "COMPLETED"


def test_a_demo_that_fails_says_why(live_server: LiveServer, start: Start) -> None:
    models = [{"connection": "nowhere", "model": "m"}]
    start(live_server, "-m", "app.worker")
    with live_server.session() as http:
        Batch(live_server, http, name=demo_batch.NAME, documents=documents(2), prompts=PROMPTS, models=models)
    code, output = shown(live_server)
    assert code == 1
    assert "all_tasks_failed" in output


def test_the_demo_without_a_service_or_with_a_wrong_token(
    live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_client, "CALL_SECONDS", 0.5)
    code, output = shown(live_server, url=f"http://127.0.0.1:{free_port()}")
    assert (code, "does not answer" in output) == (1, True)
    code, output = shown(live_server, token="wrong")
    assert (code, "(401)" in output) == (1, True)
    code, output = shown(live_server, token=live_server.tokens["viewer"])
    assert (code, "(403)" in output) == (1, True)
