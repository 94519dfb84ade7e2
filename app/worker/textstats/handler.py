"""The handler of textstats: finds the text in a task's messages and returns a result like a model's."""

from collections.abc import Mapping
from typing import Any

from app.worker.task import Task, TaskFailed
from app.worker.textstats.analysis import analyse
from app.worker.textstats.words import words


def textstats(task: Task) -> dict[str, Any]:
    """Analyse the last user message. Returns `{"text", "json", "usage"}`; the tokens of `usage` are words."""
    analysis = analyse(last_user_message(task.payload))
    usage = {"input_tokens": analysis.word_count, "output_tokens": len(words(analysis.sentence))}
    return {"text": analysis.sentence, "json": analysis.details, "usage": usage}


def last_user_message(payload: Mapping[str, Any]) -> str:
    """Find the text of the last user message, in a prompt or a ready-made task. Raises TaskFailed."""
    body = payload.get("body")
    messages = (body if isinstance(body, Mapping) else payload).get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return _text_of(message.get("content"))
    raise TaskFailed("bad_payload", "The task has no message of role user to analyse.", retryable=False)


def _text_of(content: object) -> str:
    """Read a content that is a text, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n\n".join(text for text in texts if isinstance(text, str))
