"""A folder of 2,000 mixed files of about 200 KB, from the worker's first look at it until the batch is STAGED."""

import io
import time
import zipfile
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.deployment import Deployment, DoesNotAddUp, deployed
from bench.options import Bench
from bench.results import Result
from bench.rounds import alternate
from bench.rows.workers import started_worker
from tests.worker.extraction.mixed_files import MIX, mixed_files

FILES = 2_000
FLOOR = 100.0
CONCURRENCY = 8
MOST_SECONDS = 900.0
POLL_SECONDS = 0.1


def reading(bench: Bench) -> list[Result]:
    """Stage a folder of 2,000 mixed files of 200 KB with a real worker, a tenth of them of each of ten kinds."""
    count = bench.size(FILES, least=64)
    with TemporaryDirectory() as folder, deployed(bench) as deployment:
        bench.progress.say(f"writing {count:,} files")
        size = _write(Path(folder) / "in", count)
        options = ("--documents-root", folder, "--concurrency", str(CONCURRENCY), "--ocr-languages", "none")
        with started_worker(deployment, *options):
            _stage(bench, deployment, 1, "in/000000.txt")  # the worker is there, and its children have started
            found = alternate({"files": lambda: _stage(bench, deployment, count, "in/*")}, bench.rounds, bench.progress)
    rate = median(found["files"])
    what = f"staging of a folder of {count:,} files of {size / count / 1000:,.0f} KB: {MIX}"
    return [Result(what, f"{rate:,.0f} files/s", "one worker", at_least=FLOOR, value=rate)]


def _write(folder: Path, count: int) -> int:
    """Write files of all kinds in turn, no two of them equal; return their size together."""
    folder.mkdir()
    size = 0
    for number, (name, content) in enumerate(islice(cycle(mixed_files().items()), count)):
        ending = name.rpartition(".")[2]
        size += (folder / f"{number:06}.{ending}").write_bytes(_changed(content, number))
    return size


def _changed(content: bytes, number: int) -> bytes:
    """Make another file of the same text: with a comment in an archive or at the end of a PDF, or with another line."""
    if not content.startswith(b"PK"):
        return content + f"\n% {number}\n".encode()
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = str(number).encode()
    return file.getvalue()


def _stage(bench: Bench, deployment: Deployment, count: int, pattern: str) -> float:
    """Stage a new batch of a folder; return the files a second. Raises DoesNotAddUp unless each file has its text."""
    body = {
        "name": f"{count} files",
        "documents": [{"folder": pattern}],
        "prompts": [{"name": "sum", "text": "Sum up."}],
        "models": [{"connection": "local", "model": "textstats"}],
    }
    with deployment.caller() as caller:
        batch_id = caller.post("/api/batches", body)["id"]
        begun = time.monotonic()
        batch = caller.act(batch_id, "stage")["batch"]
        while batch["state"] == "STAGING" and time.monotonic() - begun < MOST_SECONDS:
            bench.progress.count("files read", batch["progress"]["staging"]["completed"], count)
            time.sleep(POLL_SECONDS)
            batch = caller.get(f"/api/batches/{batch_id}")
        seconds = time.monotonic() - begun
    texts = batch["progress"]["analysis"]["total"]
    if batch["state"] != "STAGED" or texts != count:
        raise DoesNotAddUp(f"The batch is {batch['state']}, with {texts} texts of {count} files")
    return count / seconds
