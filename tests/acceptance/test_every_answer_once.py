"""Hundreds of real files through a real model server, and all that goes wrong in a night: nothing is paid twice."""

from collections.abc import Callable
from pathlib import Path

from app.services import build
from app.services.upkeep.verify import verify
from config import Config
from tests.acceptance.conftest import StartWorker
from tests.support.batches import Batch
from tests.support.documents import Written, write_documents
from tests.support.foreign_server import CAME, ForeignServer
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.worker.extraction.hostile_files import HOSTILE_FILES

FILES, PORTION = 230, 60  # an upload holds so many
PROMPTS = [{"name": "summary", "text": "Summarise: {document}"}, {"name": "kind", "text": "What is {name}? {document}"}]
MODELS = [{"connection": "lab", "model": "small"}, {"connection": "lab", "model": "large"}]
EACH = len(PROMPTS) * len(MODELS)
OPTIONS = {"on_unreadable": "skip", "lease_seconds": 5, "max_attempts": 20}
WORKER = ("--concurrency", "8", "--prefetch", "2", "--document-seconds", "3", "--document-memory-mib", "512")
STORM = 6  # the circuit closes at the third in a row; each further one is a probe, after a wait that doubles
SLOW = {"type": "delay", "seconds": 3, "times": 4}  # so that something is in flight when somebody is killed


def uploaded(server: LiveServer, http: object, written: list[Written]) -> Batch:
    batch = Batch(server, http, documents=[], prompts=PROMPTS, models=MODELS, options=OPTIONS)  # type: ignore[arg-type]
    files = [("files", (each.name, each.path.read_bytes(), each.media_type)) for each in written]
    files += [("files", (name, write(), media_type)) for name, media_type, write in HOSTILE_FILES]
    for start in range(0, len(files), PORTION):
        answer = batch.http.post(f"{batch.url}/documents", files=files[start : start + PORTION], timeout=LIMIT_SECONDS)
        assert answer.status_code == 201, answer.text
    return batch


def completed(batch: Batch) -> int:
    return int(batch.show()["progress"]["analysis"]["completed"])


def storm(model_server: ForeignServer) -> None:
    """Answer so many calls with 429 and `Retry-After`; LLMock itself checks what the callers do."""
    model_server.order({"type": "fail", "status": 429, "retry_after": 1, "times": STORM})
    wait_until(lambda: len(model_server.answered(429)) == STORM)
    answered = len(model_server.answered())
    wait_until(lambda: len(model_server.answered()) >= answered + 100)
    assert not model_server.faults_of_its_client()


def restart(model_server: ForeignServer) -> int:
    """Kill it with calls in flight, and start it again on its port; say how many were in flight."""
    model_server.order(SLOW)
    wait_until(lambda: model_server.open_calls() >= 4)
    model_server.kill()
    lost = model_server.open_calls()
    model_server.start()
    return lost


def run_to_the_end(batch: Batch) -> None:
    batch.reach("STAGED")
    batch.ask("run")
    batch.reach("COMPLETED")


def test_every_answer_is_paid_for_once(
    start_server: Callable[..., LiveServer], postgres_url: str, start_worker: StartWorker,
    model_server: ForeignServer, tmp_path: Path,
) -> None:  # fmt: skip
    written = write_documents(tmp_path / "in", FILES, seed=11)
    tasks = EACH * sum(each.readable for each in written)
    server = start_server(postgres_url)
    worker = start_worker(server, *WORKER)
    with server.session() as http:
        batch = uploaded(server, http, written)
        batch.ask("stage")
        staging = batch.reach("STAGED")["progress"]["staging"]
        left_out = {task["document"]["name"] for task in batch.list_all("tasks") if task.get("skipped")}
        assert left_out == {each.name for each in written if not each.readable} | {name for name, *_ in HOSTILE_FILES}
        assert (staging["failed"], staging["skipped"]) == (0, len(left_out))
        assert batch.show()["progress"]["analysis"]["total"] == tasks >= 200 * EACH

        batch.ask("run")
        wait_until(lambda: len(model_server.answered()) >= 100)
        storm(model_server)
        cut_off = restart(model_server)
        wait_until(lambda: len(model_server.answered()) >= 450)

        model_server.order(SLOW)
        before = {line.number for line in model_server.lines()}
        wait_until(lambda: model_server.open_calls() - cut_off >= 4)
        worker.kill()
        worker.wait()
        wait_until(lambda: model_server.open_calls() == cut_off)  # it answers them, and nobody is there
        lost = len(set(model_server.answered())) - completed(batch)
        start_worker(server, *WORKER)
        batch.reach("COMPLETED")

        answered = model_server.answered()
        account = (
            f"{len(answered)} calls answered for {tasks} tasks: the worker's kill lost {lost} answers in flight,"
            f" and {cut_off} calls were in flight when the model server was killed"
        )
        print(account)
        assert len(set(answered)) == tasks
        assert len(answered) <= tasks + lost + cut_off, account
        assert lost >= 1, account  # the kill did hit something
        assert {line.status for line in model_server.lines() if line.number not in before} <= {CAME, 200}
        assert {line["status"] for line in batch.results() if line["prompt"]} == {"COMPLETED"}

        batch.ask("restage")
        run_to_the_end(batch)
        assert len(model_server.answered()) == len(answered)
        reused = [line for line in batch.results() if line["prompt"]]
        assert len([line for line in reused if line["reused_from"]]) == tasks

        batch.ask("reset")
        changed = next(document for document in batch.list_all("documents") if document["name"] not in left_out)
        batch.http.put(
            f"{batch.url}/documents/{changed['id']}", json={"text": "It was agreed otherwise."}, timeout=LIMIT_SECONDS
        ).raise_for_status()
        batch.ask("stage")
        run_to_the_end(batch)
        assert len(model_server.answered()) == len(answered) + EACH
        assert len(set(model_server.answered())) == tasks + EACH

    services = build(Config(database_url=postgres_url))
    assert not list(verify(services.engine))
    services.engine.dispose()
