"""Folders: the files that a worker found become documents of the run, each once, even if reported again or twice."""

import hashlib
import threading
from typing import Any

import pytest

from app.errors import ReportRefused
from app.models import Document
from app.services import Services, build
from app.services.input import edits
from app.services.task import found_files, run_tasks
from config import Config
from tests.services import stories
from tests.services.stories import OPERATOR, act, complete, fail, lease, lease_one, rows_of, state_of, view
from tests.support.row_locks import HoldRow


def file(path: str, content: str | None = None) -> dict[str, Any]:
    data = (path if content is None else content).encode()
    known = {"name": path, "path": path, "media_type": "text/plain", "size_bytes": len(data)}
    return {**known, "sha256": hashlib.sha256(data).hexdigest()}


def create(services: Services, *patterns: str, texts: int = 0) -> int:
    """Create a batch of folders and texts."""
    made = [stories.document(f"{n}.txt", f"text {n}") for n in range(texts)]
    body = {
        "name": "folders",
        "documents": [{"folder": pattern} for pattern in patterns] + made,
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": "local", "model": "m", "params": {}}],
        "options": {},
    }
    return int(edits.create_batch(services.batches, body, OPERATOR)["id"])


def resolve(services: Services, batch_id: int, *files: dict[str, Any]) -> dict[str, Any]:
    """Stage a batch of one folder and report its files; return the folder's leased task."""
    act(services, batch_id, "stage")
    task = lease_one(services, batch_id)
    complete(services, task, {"documents": list(files)})
    return task


def paths(services: Services, batch_id: int) -> list[str]:
    return [task["payload"]["path"] for task in lease(services, batch_id)]


def test_each_file_is_a_document_of_its_own(services: Services) -> None:
    batch_id = create(services, "in/*.txt")
    act(services, batch_id, "stage")
    folder = lease_one(services, batch_id)
    assert folder["payload"]["folder"] == "in/*.txt"
    assert folder["payload"]["document"]["name"] == "in/*.txt"
    complete(services, folder, {"documents": [file("in/a.txt"), file("in/b.txt")]})
    assert view(services, batch_id)["progress"]["staging"] == {"total": 3, "completed": 1, "failed": 0, "skipped": 0}
    assert state_of(services, batch_id) == "STAGING"
    tasks = lease(services, batch_id)
    assert [task["payload"]["path"] for task in tasks] == ["in/a.txt", "in/b.txt"]
    assert set(tasks[0]["payload"]["document"]) == {"id", "name", "media_type"}
    for task in tasks:
        assert state_of(services, batch_id) == "STAGING"
        complete(services, task)
    assert state_of(services, batch_id) == "STAGED"
    act(services, batch_id, "run")
    stories.finish_all(services, batch_id)
    names = [line["document"]["name"] for line in services.reads.results.lines(batch_id)]
    assert (names, state_of(services, batch_id)) == (["in/a.txt", "in/b.txt"], "COMPLETED")
    assert view(services, batch_id)["input"]["documents"] == 1


def test_a_repeated_report_adds_nothing(services: Services) -> None:
    batch_id = create(services, "in/*")
    task = resolve(services, batch_id, file("a"))
    before = stories.snapshot(services)
    complete(services, task, {"documents": [file("a"), file("b")]})
    assert stories.snapshot(services) == before
    with pytest.raises(ReportRefused):
        fail(services, task)


def test_equal_content_is_read_once(services: Services) -> None:
    """Equal content of two files, of a file and a text, and of two folders."""
    batch_id = create(services, "in/*", "more/*", texts=1)
    act(services, batch_id, "stage")
    first, second, text = lease(services, batch_id)
    complete(services, text)
    found = [file("a"), file("b", "a"), file("c", "text 0"), file("d")]
    complete(services, first, {"documents": found})
    complete(services, second, {"documents": [file("more/a", "a"), file("more/e")]})
    assert paths(services, batch_id) == ["a", "d", "more/e"]
    result = services.reads.tasks.show(first["id"])["result"]
    assert result["duplicates"] == [{"name": "b", "of": "a"}, {"name": "c", "of": "0.txt"}]
    duplicates = services.reads.tasks.show(second["id"])["result"]["duplicates"]
    assert duplicates == [{"name": "more/a", "of": "another folder"}]


def test_two_folders_with_the_same_files_reported_at_once(services: Services) -> None:
    batch_id = create(services, "in/*", "in/**")
    act(services, batch_id, "stage")
    files, barrier = [file(f"{n:04}") for n in range(1_500)], threading.Barrier(2)

    def report(task: dict[str, Any], found: list[dict[str, Any]]) -> None:
        barrier.wait()
        complete(services, task, {"documents": found})

    leased = zip(lease(services, batch_id), (files, files[::-1]), strict=True)
    threads = [threading.Thread(target=report, args=each) for each in leased]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert view(services, batch_id)["progress"]["staging"]["total"] == 1_502
    assert len(rows_of(services, Document)) == 1_502


def test_a_text_that_looks_like_a_pattern_is_not_a_folder(services: Services) -> None:
    batch_id = create(services, "in/*")
    texts = [stories.document("a", "in/*"), {"folder": "in/*"}]
    answer = edits.add_documents(services.batches, batch_id, texts, OPERATOR)
    assert answer["duplicates"] == [{"name": "in/*", "of": "in/*"}]
    assert answer["input"]["documents"] == 2


def test_the_next_run_looks_again_and_the_files_of_the_first_stay_readable(services: Services) -> None:
    batch_id = create(services, "in/*")
    resolve(services, batch_id, file("a"), file("b"))
    stories.finish_all(services, batch_id)
    act(services, batch_id, "run")
    stories.finish_all(services, batch_id)
    act(services, batch_id, "restage")
    complete(services, lease_one(services, batch_id), {"documents": [file("b"), file("c")]})
    assert paths(services, batch_id) == ["b", "c"]
    assert [line["document"]["name"] for line in services.reads.results.lines(batch_id, run=1)] == ["a", "b"]


def test_files_found_between_two_slices_do_not_disturb_them(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract 2: `staging_completed` needs every staging task, also those that are not written yet."""
    monkeypatch.setattr(run_tasks, "SLICE", 3)
    batch_id = create(services, "in/*", texts=7)
    act(services, batch_id, "stage")
    folder, *_ = lease(services, batch_id)
    complete(services, folder, {"documents": [file(f"f{n}") for n in range(20)]})
    tasks = stories.tasks_of(services, batch_id)
    assert len(tasks) == 3 + 20
    stories.let_leases_run_out(services, [task for task in tasks if task["status"] == "LEASED"])
    services.sweeper.sweep()
    stories.finish_all(services, batch_id)
    assert state_of(services, batch_id) == "STAGED"
    read = [task["document"]["name"] for task in stories.tasks_of(services, batch_id) if task["kind"] == "STAGE"]
    assert sorted(read) == sorted(["in/*", *(f"{n}.txt" for n in range(7)), *(f"f{n}" for n in range(20))])


def test_a_folder_without_a_file_has_nothing_to_analyse(services: Services) -> None:
    batch_id = create(services, "in/*")
    resolve(services, batch_id)
    assert view(services, batch_id)["failure"]["code"] == "nothing_to_analyse"


def test_a_file_that_cannot_be_read_fails_the_staging(services: Services) -> None:
    batch_id = create(services, "in/*")
    resolve(services, batch_id, file("a"), file("b"))
    fail(services, lease_one(services, batch_id), retryable=False)
    assert view(services, batch_id)["failure"]["code"] == "staging_failed"


@pytest.mark.parametrize(
    "files",
    [
        "none",
        [1],
        [{}],
        [{**file("a"), "sha256": "x"}],
        [{**file("a"), "sha256": "X" * 64}],
        [{**file("a"), "size_bytes": -1}],
        [{**file("a"), "size_bytes": True}],
        [{**file("a"), "name": "x" * 501}],
        [{**file("a"), "path": "a\0"}],
        [{**file("a"), "media_type": ""}],
        [file("a")] * (found_files.MOST_DOCUMENTS + 1),
    ],
    ids=range(11),
)
def test_a_folder_with_a_bad_list_of_files_fails(services: Services, files: Any) -> None:
    batch_id = create(services, "in/*")
    act(services, batch_id, "stage")
    task = lease_one(services, batch_id)
    complete(services, task, {"documents": files})
    complete(services, task, {"documents": files})
    shown = services.reads.tasks.show(task["id"])
    assert (shown["status"], shown["error"]["code"]) == ("FAILED", "bad_result")
    assert state_of(services, batch_id) == "FAILED"
    assert len(rows_of(services, Document)) == 1


def test_documents_in_the_result_of_another_document_are_not_a_folder(services: Services) -> None:
    batch_id = stories.create(services, documents=1)
    act(services, batch_id, "stage")
    complete(services, lease_one(services, batch_id), {"text": "t", "documents": "anything"})
    assert state_of(services, batch_id) == "STAGED"
    act(services, batch_id, "run")
    complete(services, lease_one(services, batch_id), {"documents": [file("a")]})
    assert state_of(services, batch_id) == "COMPLETED"


def test_a_folder_may_be_read_as_one_text(services: Services) -> None:
    """A custom stage handler does so."""
    batch_id = create(services, "in/*")
    act(services, batch_id, "stage")
    complete(services, lease_one(services, batch_id), {"text": "all of it"})
    assert state_of(services, batch_id) == "STAGED"


def test_a_report_of_a_folder_does_not_wait_for_the_holder_of_the_batch(postgres_url: str, hold_row: HoldRow) -> None:
    """Contract 4: a report is stored and answered, even while another session holds the batch's row."""
    services = build(Config(database_url=postgres_url))
    batch_id = create(services, "in/*")
    act(services, batch_id, "stage")
    task = lease_one(services, batch_id)
    with hold_row(batch_id):
        complete(services, task, {"documents": [file("a")]})
    assert paths(services, batch_id) == ["a"]
    services.engine.dispose()
