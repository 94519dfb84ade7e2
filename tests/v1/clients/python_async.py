"""A program for OpenAI's Batch API, by the asynchronous SDK for Python; prints what it saw. Argument: its input."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI, NotFoundError
from openai.types import Batch

PATH = Path(sys.argv[1])


async def create(client: AsyncOpenAI, file_id: str, **metadata: str) -> Batch:
    return await client.batches.create(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h", metadata=metadata
    )


async def end_of(client: AsyncOpenAI, batch: Batch) -> Batch:
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        await asyncio.sleep(0.05)
        batch = await client.batches.retrieve(batch.id)
    return batch


async def in_parts(client: AsyncOpenAI) -> dict[str, Any]:
    done = await client.uploads.upload_file_chunked(
        file=PATH, mime_type="text/jsonl", purpose="batch", part_size=PATH.stat().st_size // 2 + 1
    )
    assert done.file is not None
    return {"status": done.status, "content": (await client.files.content(done.file.id)).text}


async def is_gone(client: AsyncOpenAI, file_id: str) -> bool:
    try:
        await client.files.retrieve(file_id)
    except NotFoundError:
        return True
    return False


async def main() -> None:
    async with AsyncOpenAI() as client:  # the address and the key are in the environment
        file = await client.files.create(file=PATH, purpose="batch")
        batch = await end_of(client, await create(client, file.id, by="a test"))
        held = await create(client, file.id, **{"interlock.max_cost": "0"})  # is paused before a line is sent
        cancelled = await client.batches.cancel(held.id)
        first = await client.batches.list(limit=1)
        files = await client.files.list(limit=1)
        saw = {
            "file": (await client.files.retrieve(file.id)).to_dict(),
            "content": (await client.files.content(file.id)).text,
            "batch": batch.to_dict(),
            "output": (await client.files.content(str(batch.output_file_id))).text,
            "cancelled": [cancelled.id, cancelled.status, (await end_of(client, cancelled)).status],
            "batches": [first.data[0].id, (await first.get_next_page()).data[0].id],
            "files": [files.data[0].id, (await files.get_next_page()).data[0].id],
            "upload": await in_parts(client),
            "deleted": (await client.files.delete(file.id)).deleted and await is_gone(client, file.id),
        }
        print(json.dumps(saw))


asyncio.run(main())
