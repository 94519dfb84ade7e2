"""The endpoints of OpenAI's API that the worker calls, and who reads the answers of each."""

from collections.abc import Callable, Mapping
from typing import Any

from app.worker.connections.answer import Answer
from app.worker.connections.chat_answers import read_chat, read_completion
from app.worker.connections.other_answers import read_moderation, read_response, read_vectors

CHAT, EMBEDDINGS, MODERATIONS = "/chat/completions", "/embeddings", "/moderations"
Reader = Callable[[Mapping[str, Any]], Answer | None]
READERS: dict[str, Reader] = {  # by the path below a connection's base_url; None is a body without an answer
    CHAT: read_chat,
    "/completions": read_completion,
    "/responses": read_response,
    EMBEDDINGS: read_vectors,
    MODERATIONS: read_moderation,
}


def path_of(url: object) -> str | None:
    """Find the path for the url of a ready-made line, with or without its `/v1`; None for any other."""
    path = str(url).removeprefix("/v1")
    return path if path in READERS else None
