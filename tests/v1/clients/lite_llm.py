"""A program for OpenAI's Batch API, by LiteLLM; prints what it saw. Argument: its input.

LiteLLM has no call for uploads in parts, and its list of files is one page.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import litellm
from openai import NotFoundError

PATH = Path(sys.argv[1])


def create(file_id: str, **metadata: str) -> Any:
    return litellm.create_batch(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h", metadata=metadata
    )


def end_of(batch: Any) -> Any:
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.05)
        batch = litellm.retrieve_batch(batch.id)
    return batch


def text(file_id: str) -> str:
    return litellm.file_content(file_id, custom_llm_provider="openai").text


def is_gone(file_id: str) -> bool:
    try:
        litellm.file_retrieve(file_id)
    except NotFoundError:
        return True
    return False


file: Any = litellm.create_file(file=PATH, purpose="batch", custom_llm_provider="openai")
batch = end_of(create(file.id, by="a test"))
cancelled = litellm.cancel_batch(create(file.id, **{"interlock.max_cost": "0"}).id)  # is paused before a line is sent
first = litellm.list_batches(limit=1).data[0]
saw = {
    "file": litellm.file_retrieve(file.id).model_dump(),
    "content": text(file.id),
    "batch": batch.model_dump(),
    "output": text(batch.output_file_id),
    "cancelled": [cancelled.id, cancelled.status, end_of(cancelled).status],
    "batches": [first.id, litellm.list_batches(limit=1, after=first.id).data[0].id],
    "files": [each.id for each in litellm.file_list().data][:2],
    "deleted": litellm.file_delete(file.id).deleted and is_gone(file.id),
}
print(json.dumps(saw))
