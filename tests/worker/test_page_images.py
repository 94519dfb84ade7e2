"""Documents as pictures: from a folder and uploads to the parts that a model server gets."""

import base64
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.domain.documents import IMAGES
from app.worker import Task
from app.worker.connections.context.picture_tokens import PAGE_TOKENS
from app.worker.connections.model_request import request_of
from app.worker.connections.settings import Connection
from app.worker.extraction import Limits, Unreadable, read_images
from app.worker.handlers import perform
from app.worker.page_images import MADE
from app.worker.reporting.reports import Report
from tests.support import documents
from tests.support.batches import Batch
from tests.support.process import PythonProcess
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS
from tests.worker.connections.conftest import asking
from tests.worker.connections.model_server import MisbehavingServer
from tests.worker.extraction.all_kinds import picture, scan

LIMITS = Limits()


def opened(picture_in_base64: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(picture_in_base64, validate=True)))


def saved(made: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    made.save(file, kind, **options)
    return file.getvalue()


def why(content: bytes, name: str, limits: Limits = LIMITS) -> str:
    with pytest.raises(Unreadable) as caught:
        read_images(content, name, "", limits)
    return caught.value.why


def test_service_and_worker_agree_how_pictures_are_made() -> None:
    assert MADE == IMAGES


def test_each_page_of_a_pdf_is_a_jpeg_of_150_dots_an_inch() -> None:
    found = [opened(each) for each in read_images(documents.pdf(["agreement"], pages=3), "a.pdf", "", LIMITS)]
    assert [(each.format, each.size) for each in found] == [("JPEG", (1241, 1754))] * 3
    assert sum(value < 128 for value in found[0].convert("L").tobytes()) > 50  # the word is there


def test_a_page_as_large_as_a_house_has_fewer_dots() -> None:
    (found,) = read_images(documents.pdf(["a"], pagesize=(14_000, 14_000)), "a.pdf", "", LIMITS)
    assert 4_900_000 < opened(found).width * opened(found).height <= 5_010_000


def test_pictures_of_every_kind_and_all_pages_of_a_fax() -> None:
    made = picture("The price is 250 euros")
    for kind, ending in (("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")):
        (found,) = read_images(saved(made, kind), f"a.{ending}", "", LIMITS)
        assert (opened(found).format, opened(found).size) == ("JPEG", made.size)
    fax = saved(made, "TIFF", save_all=True, append_images=[made])
    assert len(read_images(fax, "a.tif", "", LIMITS)) == 2


def test_what_is_refused_says_why() -> None:
    assert "only PDF and pictures" in why(documents.word(["a", "b", "c"]), "a.docx")
    assert "only PDF and pictures" in why(b"a text", "a.txt")
    assert "at most 50 pages" in why(documents.pdf(["a"], pages=51), "a.pdf")
    assert "password" in why(documents.encrypted_pdf(["a"]), "a.pdf")
    assert "more than 20 MiB" in why(saved(Image.effect_noise((1000, 1000), 90), "PNG"), "a.png", Limits(characters=9))
    assert "100 million pixels" in why(saved(Image.new("1", (10_000, 10_000)), "PNG"), "a.png")
    assert why(b"%PDF-1.7\n", "a.pdf").startswith("is broken")


def test_a_worker_without_pictures_says_so() -> None:
    report = perform(lambda task: {"text": "never"}, asking(images={"path": "a.pdf"}))
    assert isinstance(report, Report)
    reported = json.loads(report.body)
    assert (reported["error"]["code"], reported["retryable"]) == ("no_images", False)


def test_a_picture_counts_as_its_tokens_and_not_as_its_bytes() -> None:
    content = [{"type": "text", "text": "x" * 398}, {"type": "image_url", "image_url": {"url": "y" * 1_000_000}}]
    task: Task = asking(messages=[{"role": "user", "content": content}])
    found = request_of(task.payload, Connection(base_url="http://127.0.0.1:1/v1")).input_tokens
    assert PAGE_TOKENS < found < PAGE_TOKENS + 200


@pytest.fixture
def models() -> Iterator[MisbehavingServer]:
    server = MisbehavingServer()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, module_servers: SharedServers) -> LiveServer:
    shared: LiveServer = module_servers(request.param).server
    return shared


@pytest.fixture
def worker(server: LiveServer, models: MisbehavingServer, tmp_path: Path) -> Iterator[PythonProcess]:
    """A worker with a folder of documents, without Tesseract, and a connection to the model server."""
    (tmp_path / "root").mkdir()
    (tmp_path / "connections.toml").write_text(f'[lab]\nbase_url = "{models.url}"\n')
    options = ("--connections", str(tmp_path / "connections.toml"), "--documents-root", str(tmp_path / "root"))
    settings = {"INTERLOCK_URL": server.url, "INTERLOCK_TOKEN": server.tokens["worker"]}
    arguments = ("-m", "app.worker", "--ocr-languages", "none", "--wait-seconds", "0.5", *options)
    process = PythonProcess(*arguments, env={**os.environ, **settings}, output=tmp_path / "log")
    yield process
    process.terminate()
    process.wait(LIMIT_SECONDS)


def see_through(batch: Batch, action: str = "stage") -> dict[str, Any]:
    batch.ask(action)
    batch.reach("STAGED")
    batch.ask("run")
    return batch.reach("COMPLETED")


@pytest.mark.usefixtures("worker")
def test_scans_are_sent_as_pictures_and_reused(server: LiveServer, models: MisbehavingServer, tmp_path: Path) -> None:
    """A scan needs no text. The answer is reused in the next run: the pictures are a part of its content key."""
    (tmp_path / "root" / "scan.pdf").write_bytes(scan("number 7"))
    prompts = [{"name": "p", "text": "Read {name}.", "system": "Be brief.", "input": "images"}]
    with server.session() as http:
        sent = [{"folder": "*.pdf"}]
        batch = Batch(server, http, documents=sent, prompts=prompts, models=[{"connection": "lab", "model": "m"}])
        see_through(batch)
        files = {"files": ("upload.png", saved(picture("number 8"), "PNG"), "image/png")}
        batch.ask("reset")
        http.post(f"{batch.url}/documents", files=files, timeout=LIMIT_SECONDS).raise_for_status()
        see_through(batch)
        rows = {row["document"]["name"]: row for row in batch.results()}
    assert {name: row["result"]["images"]["pages"] for name, row in rows.items()} == {"scan.pdf": 1, "upload.png": 1}
    assert rows["scan.pdf"]["reused_from"]
    bodies = [body for _, _, body in models.calls]
    assert len(bodies) == 2
    for body, name in zip(bodies, ("scan.pdf", "upload.png"), strict=True):
        system, user = body["messages"]
        text, image = user["content"]
        assert (system["content"], text) == ("Be brief.", {"type": "text", "text": f"Read {name}."})
        kind, _, content = image["image_url"]["url"].partition(";base64,")
        assert (image["type"], kind, opened(content).format) == ("image_url", "data:image/jpeg", "JPEG")


@pytest.mark.usefixtures("worker")
def test_other_kinds_and_changed_files_fail_with_the_reason(
    server: LiveServer, models: MisbehavingServer, tmp_path: Path
) -> None:
    prompts = [{"name": "p", "text": "Read it.", "input": "images"}, {"name": "t", "text": "{document}"}]
    (tmp_path / "root" / "a.pdf").write_bytes(documents.pdf(["agreement"]))
    with server.session() as http:
        sent = [{"name": "a text", "text": "some text"}, {"folder": "*.pdf"}]
        models_of = [{"connection": "lab", "model": "m"}]
        batch = Batch(server, http, documents=sent, prompts=prompts, models=models_of, options={"max_attempts": 1})
        batch.ask("stage")
        batch.reach("STAGED")
        (tmp_path / "root" / "a.pdf").write_bytes(documents.pdf(["another"]))
        batch.ask("run")
        batch.reach("COMPLETED")
        rows = {(row["document"]["name"], row["prompt"]): row for row in batch.results()}
    codes = {key: (row["error"] or {}).get("code") for key, row in rows.items()}
    assert codes == {
        ("a text", "p"): "bad_payload", ("a text", "t"): None, ("a.pdf", "p"): "document_changed", ("a.pdf", "t"): None,
    }  # fmt: skip
    assert len(models.calls) == 2
