"""A program for OpenAI's Batch API, by the SDK for Python; prints what it saw. Argument: its input."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from openai import NotFoundError, OpenAI
from openai.types import Batch

PATH = Path(sys.argv[1])
client = OpenAI()  # the address and the key are in the environment


def create(file_id: str, **metadata: str) -> Batch:
    return client.batches.create(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h", metadata=metadata
    )


def end_of(batch: Batch) -> Batch:
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.05)
        batch = client.batches.retrieve(batch.id)
    return batch


def in_parts() -> dict[str, Any]:
    data = PATH.read_bytes()
    half = len(data) // 2
    upload = client.uploads.create(bytes=len(data), filename="parts.jsonl", mime_type="text/jsonl", purpose="batch")
    parts = [client.uploads.parts.create(upload.id, data=piece).id for piece in (data[:half], data[half:])]
    done = client.uploads.complete(upload.id, part_ids=parts)
    assert done.file is not None
    return {"status": done.status, "content": client.files.content(done.file.id).text}


def is_gone(file_id: str) -> bool:
    try:
        client.files.retrieve(file_id)
    except NotFoundError:
        return True
    return False


file = client.files.create(file=PATH, purpose="batch")
batch = end_of(create(file.id, by="a test"))
cancelled = client.batches.cancel(create(file.id, **{"interlock.max_cost": "0"}).id)  # is paused before a line is sent
first = client.batches.list(limit=1)
files = client.files.list(limit=1)
saw = {
    "file": client.files.retrieve(file.id).to_dict(),
    "content": client.files.content(file.id).text,
    "batch": batch.to_dict(),
    "output": client.files.content(str(batch.output_file_id)).text,
    "cancelled": [cancelled.id, cancelled.status, end_of(cancelled).status],
    "batches": [first.data[0].id, first.get_next_page().data[0].id],
    "files": [files.data[0].id, files.get_next_page().data[0].id],
    "upload": in_parts(),
    "deleted": client.files.delete(file.id).deleted and is_gone(file.id),
}
print(json.dumps(saw))
