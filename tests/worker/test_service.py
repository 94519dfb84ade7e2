"""The worker, the minimal worker and the demo against the real service, with kills and interruptions."""

import io
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import html
from rich.console import Console

from app.demo import batch as demo_batch
from app.demo import client as demo_client
from app.demo.run import run_demo
from tests.support import signing_in
from tests.support.batches import Batch
from tests.support.documents import write_documents
from tests.support.postgres import free_port
from tests.support.process import PythonProcess
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.extraction.all_kinds import write_all_kinds

Start = Callable[..., PythonProcess]
DEMO = (
    "import sys; from rich.console import Console; from app.demo.run import run_demo;"
    "sys.exit(run_demo(*sys.argv[1:], Console()))"
)
# For what only the worker or a client does: it knows no database, only the answers of the API.
one_database = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, module_servers: SharedServers) -> Iterator[LiveServer]:
    """The server of each kind of database. At the end it has no task that a later worker would lease."""
    shared: LiveServer = module_servers(request.param).server
    yield shared
    with shared.session() as http:
        for batch in http.get(f"{shared.url}/api/batches?limit=200", timeout=LIMIT_SECONDS).json()["batches"]:
            if "cancel" in batch["allowed_actions"]:
                url = f"{shared.url}/api/batches/{batch['id']}/action"
                http.post(url, json={"action": "cancel"}, timeout=LIMIT_SECONDS).raise_for_status()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start processes of this project with the URL and a token in their environment. They are stopped at the end.

    Their lease requests are short: a worker ends only when its last one is answered.
    """
    started: list[PythonProcess] = []

    def start_process(server: LiveServer, *arguments: str, **settings: str) -> PythonProcess:
        address = {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens["worker"]}
        environment = {**os.environ, "INTERLOCK_WAIT_SECONDS": "0.5", **address, **settings}
        started.append(PythonProcess(*arguments, env=environment, output=tmp_path / f"log-{len(started)}"))
        return started[-1]

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


def test_a_batch_of_files_and_texts_is_seen_through(server: LiveServer, start: Start) -> None:
    start(server, "-m", "app.worker")
    with server.session() as http:
        batch = Batch(server, http, documents=documents(20), prompts=PROMPTS, models=LOCAL)
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


def test_ready_made_lines_and_an_unknown_model(server: LiveServer, start: Start) -> None:
    line = (
        '{"custom_id":"c%d","method":"POST","url":"/v1/chat/completions",'
        '"body":{"model":"%s","messages":[{"role":"user","content":"Hello there, you two."}]}}\n'
    )
    lines = "".join(line % (n, "textstats" if n else "gpt") for n in range(5))
    start(server, "-m", "app.worker")
    with server.session() as http:
        batch = Batch(server, http, lines=lines.encode())
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        wait_until(lambda: batch.show()["progress"]["analysis"]["completed"] == 4)
        shown = batch.show()
        results = {line["custom_id"]: line for line in batch.results()}
        tasks = {task["custom_id"]: task for task in batch.list_all("tasks")}
    assert (shown["state"], shown["progress"]["analysis"]["queued"]) == ("ANALYZING", 1)
    assert [(each["model"], each["reason"]) for each in shown["waiting_for"]] == [
        ("gpt", "no present worker can do it")
    ]
    assert (tasks["c0"]["status"], tasks["c0"]["attempt"]) == ("QUEUED", 0)
    assert results["c1"]["result"]["usage"]["input_tokens"] == 4


@one_database
def test_a_document_that_cannot_be_read_fails_the_staging_in_a_sentence(server: LiveServer, start: Start) -> None:
    start(server, "-m", "app.worker")
    with server.session() as http:
        batch = Batch(server, http, prompts=PROMPTS, models=LOCAL)
        http.post(f"{batch.url}/documents", files=[("files", ("scan.pdf", b"%PDF-1.7\0"))], timeout=LIMIT_SECONDS)
        batch.ask("stage")
        wait_until(lambda: batch.show()["state"] == "FAILED")
        failure = batch.show()["failure"]
        task = http.get(f"{server.url}/api/tasks/{failure['task_id']}", timeout=LIMIT_SECONDS).json()
    assert failure["code"] == "staging_failed"
    assert task["error"]["code"] == "unreadable"
    assert "'scan.pdf'" in task["error"]["message"]


def test_a_folder_of_all_kinds_is_seen_through(server: LiveServer, start: Start, tmp_path: Path) -> None:
    """Unreadable documents are left out, each with its reason. A link out of the root is tested in another batch."""
    root = tmp_path / "root"
    written = write_documents(root / "in", 120, seed=7)
    (root / "copy.txt").write_bytes(written[0].path.read_bytes())
    start(server, "-m", "app.worker", INTERLOCK_DOCUMENTS_ROOT=str(root))
    options = {"on_unreadable": "skip"}
    with server.session() as http:
        sent = [{"folder": "**/*"}]
        batch = Batch(server, http, documents=sent, prompts=PROMPTS[:1], models=LOCAL, options=options)
        batch.ask("stage")
        staging = batch.reach("STAGED")["progress"]["staging"]
        batch.ask("run")
        batch.reach("COMPLETED")
        read = {line["document"]["name"]: line["result"] for line in batch.results()}
        tasks = http.get(f"{batch.url}/tasks?limit=200", timeout=LIMIT_SECONDS).json()["tasks"]
        folder = http.get(f"{server.url}/api/tasks/{tasks[0]['id']}", timeout=LIMIT_SECONDS).json()
    unreadable = {f"in/{each.path.parent.name}/{each.name}" for each in written if not each.readable}
    assert (staging["total"], staging["skipped"], staging["failed"]) == (121, 12, 0)
    assert len(read) == 108
    assert not read.keys() & unreadable
    assert folder["result"]["duplicates"] == [{"name": f"in/000/{written[0].name}", "of": "copy.txt"}]
    skipped = {task["document"]["name"]: task["skipped"] for task in tasks if task["skipped"]}
    assert all(name in reason for name, reason in skipped.items())
    assert skipped.keys() <= unreadable


@one_database  # the readers are new here: the way from a folder to answers is above, and the page in ui/test_input.py
@pytest.mark.usefixtures("tesseract_installed")
def test_a_hundred_files_of_all_kinds_run_from_folder_to_answers(
    server: LiveServer, start: Start, tmp_path: Path
) -> None:
    """Ten of them are scans. The page of the input shows what was left out of which document."""
    written = write_all_kinds(tmp_path / "root" / "in", 100, scans=10)
    start(
        server, "-m", "app.worker", "--document-seconds", "600", "--ocr-languages", "eng",
        INTERLOCK_DOCUMENTS_ROOT=str(tmp_path / "root"),
    )  # fmt: skip
    with server.session() as http:
        prompts = [{"name": "p", "text": "{document}"}]
        batch = Batch(server, http, documents=[{"folder": "in/*"}], prompts=prompts, models=LOCAL)
        batch.ask("stage")
        assert batch.reach("STAGED")["progress"]["staging"]["total"] == 101
        batch.ask("run")
        assert batch.reach("COMPLETED")["progress"]["analysis"]["completed"] == 100
        texts = {
            task["document"]["name"]: http.get(f"{server.url}/api/tasks/{task['id']}", timeout=LIMIT_SECONDS).json()
            for task in batch.list_all("tasks")
            if task["kind"] == "STAGE"
        }
        missing = [name for name, (mark, _) in written.items() if mark not in texts[name]["result"]["text"]]
        assert missing == []
        assert texts["in/scan0.pdf"]["result"]["metadata"]["ocr"]["pages"] == [1]
    shown = rows_of_left_out(server, batch)
    assert shown == {name: left_out for name, (_, left_out) in written.items() if left_out}


@one_database  # services/test_document_parts.py has both
def test_a_long_file_is_split_and_answered_part_by_part(server: LiveServer, start: Start, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    paragraphs = [f"Clause {number}. " + "The seller delivers the goods. " * 20 for number in range(20)]
    (tmp_path / "in" / "long.txt").write_text("\n\n".join(paragraphs))
    (tmp_path / "in" / "short.md").write_text("# A letter")
    start(server, "-m", "app.worker", INTERLOCK_DOCUMENTS_ROOT=str(tmp_path))
    with server.session() as http:
        options = {"on_too_long": "split", "part_characters": 4_000, "overlap_characters": 0}
        prompts = [{"name": "p", "text": "{document}"}]
        batch = Batch(server, http, documents=[{"folder": "in/*"}], prompts=prompts, models=LOCAL, options=options)
        batch.ask("stage")
        assert batch.reach("STAGED")["progress"]["analysis"]["total"] == 5
        batch.ask("run")
        batch.reach("COMPLETED")
        results = batch.results()
    long = [line for line in results if line["document"]["name"] == "in/long.txt"]
    assert [(line["part"], line["parts"]) for line in long] == [(number, 4) for number in range(1, 5)]
    assert sum(line["result"]["usage"]["input_tokens"] for line in long) == 20 * (1 + 5 * 20)
    assert [line["part"] for line in results if line not in long] == [None]


def rows_of_left_out(server: LiveServer, batch: Batch) -> dict[str, str]:
    """Read the table of what was left out on the page of a batch's input, as a person who signed in sees it."""
    with requests.Session() as browser:
        browser.trust_env = False
        form = browser.get(server.url + signing_in.PATH, timeout=LIMIT_SECONDS).text
        data = signing_in.form_of(form, server.tokens["viewer"])
        browser.post(server.url + signing_in.PATH, data=data, timeout=LIMIT_SECONDS)
        page = browser.get(batch.url.replace("/api/", "/") + "/input", timeout=LIMIT_SECONDS).text
    rows = html.fromstring(page).xpath("//section[@aria-labelledby='left-out-title']//tbody/tr")
    cells = [[" ".join(cell.text_content().split()) for cell in row] for row in rows]
    return dict(cells)


@one_database
def test_a_folder_where_no_worker_has_a_root(server: LiveServer, start: Start) -> None:
    start(server, "-m", "app.worker")
    with server.session() as http:
        batch = Batch(server, http, documents=[{"folder": "**/*"}], prompts=PROMPTS, models=LOCAL)
        batch.ask("stage")
        wait_until(lambda: batch.show()["state"] == "FAILED")
    assert "INTERLOCK_DOCUMENTS_ROOT" in batch.show()["failure"]["message"]


def test_a_service_that_is_killed_and_started_again_loses_no_answer(
    start_server: Any, sqlite_url: str, start: Start, tmp_path: Path
) -> None:
    port = free_port()
    server = start_server(sqlite_url, port=port)
    start(server, "-m", "app.worker", "--concurrency", "4", "--handler", "local=tests.worker.sample_handlers:slow")
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
        log = tmp_path / "log-0"
        wait_until(lambda: "service_unavailable" in log.read_text(), "the worker's line about the outage")
        settings = {"DATABASE_URL": sqlite_url, "PORT": str(port), "ADMIN_TOKEN": server.tokens["admin"]}
        start(server, "-m", "app.cli", "serve", EMBEDDED_WORKER="0", **settings)
        wait_until(lambda: answers(server))
        done = batch.reach("COMPLETED")
        results = batch.results()
    assert done["progress"]["analysis"]["completed"] == 40
    assert len(results) == len({line["task_id"] for line in results}) == 40
    assert all(line["result"]["text"] == f"answer to {line['task_id']}" for line in results)


@one_database
def test_sigterm_gives_real_leases_back_unharmed(server: LiveServer, start: Start) -> None:
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
            "total": 20, "queued": 20, "leased": 0, "completed": 0, "failed": 0, "truncated": 0,
        }  # fmt: skip
        tasks = http.get(f"{batch.url}/tasks?limit=200", timeout=LIMIT_SECONDS).json()["tasks"]
        assert all(task["attempt"] == 0 for task in tasks if task["kind"] == "ANALYZE")


@one_database
def test_a_cancelled_batch_stops_the_work_on_it(server: LiveServer, start: Start) -> None:
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


def test_the_minimal_worker_sees_a_batch_through(start_server: Any, sqlite_url: str, start: Start) -> None:
    server = start_server(sqlite_url)  # of its own: the lease request of a worker that was ended may still be granted
    start(server, "examples/minimal_worker.py")
    with server.session() as http:
        batch = Batch(server, http, documents=documents(3), prompts=PROMPTS[:1], models=LOCAL)
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


def demo_batches(server: LiveServer, http: requests.Session) -> list[dict[str, Any]]:
    """List the batches of the demo, the newest first."""
    query = {"name": demo_batch.NAME, "limit": "200"}
    answer = http.get(f"{server.url}/api/batches", params=query, timeout=LIMIT_SECONDS)
    return [batch for batch in answer.json()["batches"] if batch["name"] == demo_batch.NAME]


def test_the_demo_goes_through_and_prints_results_and_audit_trail(server: LiveServer, start: Start) -> None:
    start(server, "-m", "app.worker")
    code, output = shown(server)
    assert code == 0
    for part in ("18 documents x 2 prompts x 1 model", "staging 18/18", "36 results for 36 tasks", "tasks_finished"):
        assert part in output
    assert "reading ease" in output


def test_a_demo_that_was_killed_is_continued_and_not_begun_again(
    server: LiveServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (server.url, server.tokens["operator"])
    with server.session() as http:
        earlier = [batch["id"] for batch in demo_batches(server, http)]
        killed = start(server, "-c", DEMO, *arguments)
        wait_until(lambda: [batch for batch in demo_batches(server, http) if batch["state"] == "STAGING"])
        killed.kill()
        start(server, "-m", "app.worker")
        code, output = shown(server)
        assert code == 0, output
        found = [batch for batch in demo_batches(server, http) if batch["id"] not in earlier]
        assert f"Continuing batch {found[0]['id']}, which is STAG" in output
    assert [batch["state"] for batch in found] == ["COMPLETED"]
    assert found[0]["progress"]["analysis"]["completed"] == 36


def test_a_paused_demo_is_resumed_and_a_finished_one_is_started_again(server: LiveServer, start: Start) -> None:
    with server.session() as http:
        start(server, "-m", "app.worker")
        paused = Batch(server, http, name=demo_batch.NAME, documents=documents(2), prompts=PROMPTS, models=LOCAL)
        paused.ask("stage")
        paused.reach("STAGED")
        http.post(f"{paused.url}/action", json={"action": "run"}, timeout=LIMIT_SECONDS)
        paused.reach("COMPLETED")
        code, output = shown(server)
        newest = demo_batches(server, http)[0]["id"]
        assert f"{server.url}/api/batches/{newest}" != paused.url
        assert (code, f"Batch {newest} is created" in output) == (0, True)


def test_without_a_worker_the_demo_says_so_and_ends(
    start_server: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server(sqlite_url)  # of its own: a batch that is STAGING cannot be cancelled
    monkeypatch.setattr(demo_batch, "UNCHANGED_SECONDS", 1.0)
    code, output = shown(server)
    assert code == 1
    assert "No worker seems to be running" in output


@one_database
def test_a_demo_that_was_paused_reports_it_and_the_next_one_resumes_it(
    server: LiveServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_batch, "UNCHANGED_SECONDS", 1.0)
    worker = start(server, "-m", "app.worker")
    with server.session() as http:
        body = {"documents": documents(2), "prompts": PROMPTS, "models": LOCAL, "options": {"lease_seconds": 3}}
        batch = Batch(server, http, name=demo_batch.NAME, **body)
        batch.ask("stage")
        batch.reach("STAGED")
        worker.terminate()
        worker.wait(LIMIT_SECONDS)
        batch.ask("run")
        batch.ask("pause")
        monkeypatch.setattr(demo_batch, "request_action", lambda *_: None)
        code, output = shown(server)
        assert code == 1
        assert "paused it" in output
        monkeypatch.undo()
        start(server, "-m", "app.worker")
        code, output = shown(server)
        assert (code, "resume: done" in output) == (0, True), output
        assert batch.show()["state"] == "COMPLETED"


@one_database
def test_a_demo_that_fails_says_why(server: LiveServer, start: Start) -> None:
    models = [{"connection": "nowhere", "model": "m"}]
    start(server, "-m", "app.worker", "--handler", "nowhere=tests.worker.sample_handlers:fails")
    options = {"max_attempts": 1}
    with server.session() as http:
        Batch(
            server, http, name=demo_batch.NAME, documents=documents(2), prompts=PROMPTS, models=models, options=options
        )
    code, output = shown(server)
    assert code == 1
    assert "all_tasks_failed" in output


@one_database
def test_the_demo_without_a_service_or_with_a_wrong_token(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_client, "CALL_SECONDS", 0.5)
    code, output = shown(server, url=f"http://127.0.0.1:{free_port()}")
    assert (code, "does not answer" in output) == (1, True)
    code, output = shown(server, token="wrong")
    assert (code, "(401)" in output) == (1, True)
    code, output = shown(server, token=server.tokens["viewer"])
    assert (code, "(403)" in output) == (1, True)
