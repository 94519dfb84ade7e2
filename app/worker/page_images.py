"""Adds pictures of the document's pages to the messages of a task, where its prompt asks for them."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from app.worker.extraction import read_images
from app.worker.extraction.images.reader import DOTS_PER_INCH, MAX_PAGES
from app.worker.stager import Stager
from app.worker.task import Task, TaskFailed

MADE = {"format": "jpeg", "dots_per_inch": DOTS_PER_INCH, "most_pages": MAX_PAGES}


@dataclass(frozen=True)
class PageImages:
    """Reads the files of documents as the stager does. Plain data, so that it can be pickled."""

    stager: Stager

    def added_to(self, task: Task) -> tuple[Task, dict[str, int]]:
        """Return the task with the pictures in its last message, and their number and size. Raises TaskFailed."""
        wanted = task.payload["images"]
        if {name: wanted.get(name) for name in MADE} != MADE:
            message = f"This worker makes pictures as {MADE}, and the task asks for {wanted}."
            raise TaskFailed("bad_payload", message, retryable=False)
        name = str((task.payload.get("document") or {}).get("name"))
        with self.stager.failures_of(name):
            content = self.stager.content(task, name, wanted)
            if hashlib.sha256(content).hexdigest() != wanted.get("sha256"):
                message = f"Document {name!r} has changed since it was staged: stage the batch again."
                raise TaskFailed("document_changed", message, retryable=False)
            pictures = read_images(content, name, str(wanted.get("media_type") or ""), self.stager.limits)
        parts = [_part(picture) for picture in pictures]
        *before, last = task.payload["messages"]
        text = [{"type": "text", "text": last["content"]}] if last["content"].strip() else []
        messages = [*before, {**last, "content": [*text, *parts]}]
        payload = {key: value for key, value in task.payload.items() if key != "images"}
        counts = {"pages": len(pictures), "bytes": sum(len(each) * 3 // 4 for each in pictures)}
        return replace(task, payload={**payload, "messages": messages}), counts


def _part(picture: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{picture}"}}
