"""Input files, and the files of a batch read back."""

from typing import Any

import openai
import orjson
from openai.types import Batch

CHAT = "/v1/chat/completions"


def line(custom_id: str, url: str = CHAT, **body: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": custom_id}], **body}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def input_file(client: openai.OpenAI, *lines: Any) -> str:
    """Upload lines, which are objects or the bytes of a line; return the id of the file."""
    content = b"".join((each if isinstance(each, bytes) else orjson.dumps(each)) + b"\n" for each in lines)
    return client.files.create(file=("in.jsonl", content), purpose="batch").id


def create(client: openai.OpenAI, *lines: Any, **options: Any) -> Batch:
    """Create a batch of lines."""
    options = {"endpoint": CHAT, "completion_window": "24h", **options}
    return client.batches.create(input_file_id=input_file(client, *lines), **options)


def read(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """Read the lines of a file; of none, if there is no file."""
    content = client.files.content(file_id).content if file_id else b""
    return [orjson.loads(each) for each in content.splitlines()]
