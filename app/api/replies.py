"""What goes out: JSON answers, and Idempotency-Key, which gives the first answer of a POST again."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Response, current_app, g, request

from app.api.access import auth
from app.api.uploads import body_hash
from app.errors import Invalid
from app.services.access.idempotency import Claim, StoredAnswer, claim
from app.web.services import services

KEY = "Idempotency-Key"
_KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Retry-After")


def reply(body: Any, status: int = 200, **headers: str) -> Response:
    """Answer JSON; `headers` are named with underscores for dashes."""
    response = Response(orjson.dumps(body), status=status, content_type="application/json")
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def nothing() -> Response:
    """Answer that it is done, with no body and so no type of one."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def etag(batch: Mapping[str, Any]) -> str:
    return f'"{batch["version"]}"'


def recorder(render: Callable[[Any], Response]) -> Callable[[Any, Any], None] | None:
    """Make what keeps the rendered answer in its effect's transaction; None if the caller sent no key."""
    taken: Claim | None = g.get("claim")
    if taken is None:
        return None

    def record(connection: Any, answer: Any) -> None:
        taken.store(connection, _stored(render(answer)))
        g.answer_stored = True

    return record


def once(view: Callable[[], Response]) -> Response:
    """Answer a POST, or with an Idempotency-Key seen before, give its first answer again.

    Raises KeyInUse, KeyReused, Invalid.
    """
    key = request.headers.get(KEY)
    if key is None:
        return view()
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise Invalid(f"{KEY} has to be 1 to 255 characters.", errors={KEY: ["has to be 1 to 255 characters"]})
    engine, token = services().engine, (auth.get_auth().token or "")
    # By token, not by name: who comes later under the same name could not unseal the first one's answer.
    found = claim(engine, hashlib.sha256(token.encode()).hexdigest(), key, _fingerprint(), token)
    if isinstance(found, StoredAnswer):
        response = Response(found.body, status=found.status, headers=dict(found.headers))
        response.headers["Idempotency-Replayed"] = "true"
        return response
    g.claim = found
    try:
        response = current_app.make_response(view())
    except Exception as error:
        response = current_app.make_response(current_app.handle_user_exception(error))
    _keep(found, response)
    return response


def _keep(taken: Claim, response: Response) -> None:
    if response.status_code >= 500:  # nothing was decided: the same key may try again
        taken.drop(services().engine)
    elif not g.get("answer_stored"):
        taken.store_alone(services().engine, _stored(response))


def _stored(response: Response) -> StoredAnswer:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return StoredAnswer(response.status_code, headers, response.get_data())


def _fingerprint() -> str:
    parts = (request.method, request.full_path, request.mimetype, request.headers.get("If-Match", ""), body_hash())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
