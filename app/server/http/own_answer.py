"""What the server answers without the application: a sentence, in the form that the clients of the address read."""

from uuid import uuid4

import orjson

from app.domain.answer.openai_error import PATH, openai_error

_PLAIN, _JSON = "text/plain; charset=utf-8", "application/json"


def own_answer(path: str, status: str, sentence: str) -> tuple[list[tuple[str, str]], bytes]:
    """Make headers and body. `path` is empty if the request was refused before it was known."""
    is_openai = path.startswith(PATH)
    body = orjson.dumps(openai_error(int(status[:3]), sentence)) if is_openai else f"{sentence}\n".encode()
    kind = _JSON if is_openai else _PLAIN
    return [("Content-Type", kind), ("Content-Length", str(len(body))), ("X-Request-Id", uuid4().hex)], body
