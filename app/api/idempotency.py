"""Idempotency-Key: a POST that is repeated with the same key gets the answer of the first one."""

import hashlib
from collections.abc import Callable, Collection
from typing import Any

from flask import Response, current_app, g, request

from app.api.access import bearer_token
from app.api.uploads import body_hash
from app.errors import Invalid
from app.services.access.idempotency import Claim, StoredAnswer, claim
from app.web.services import services

KEY = "Idempotency-Key"
_IN_ENVIRON = "HTTP_IDEMPOTENCY_KEY"
_KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Retry-After")


def recorder(
    render: Callable[[Any], Response], batches_of: Callable[[Any], Collection[int]] | None = None
) -> Callable[[Any, Any], None] | None:
    """Make the function that stores the rendered answer in the transaction of its effect; None without a key.

    `batches_of` finds the ids of the batches whose content the answer has; by default it is the one in the path.
    """
    claimed: Claim | None = g.get("claim")
    if claimed is None:
        return None

    def record(connection: Any, answer: Any) -> None:
        batch_ids = batches_of(answer) if batches_of else _batch_of_path()
        claimed.store(connection, _stored(render(answer)), batch_ids)
        g.answer_stored = True

    return record


def once(view: Callable[[], Response]) -> Response:
    """Answer a POST; if its Idempotency-Key was used before, repeat the first answer.

    Raises KeyInUse, KeyReused, AnswerErased, Invalid.
    """
    key = request.environ.get(_IN_ENVIRON)
    if key is None:
        return view()
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise Invalid(f"{KEY} has to be 1 to 255 characters.", errors={KEY: ["has to be 1 to 255 characters"]})
    engine, token = services().engine, bearer_token()
    # By token, not by name: a later token of the same name could not unseal the answer.
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


def _keep(claimed: Claim, response: Response) -> None:
    if response.status_code >= 500:  # nothing was decided: the same key may try again
        claimed.drop(services().engine)
    elif not g.get("answer_stored"):
        claimed.store_alone(services().engine, _stored(response), _batch_of_path())


def _batch_of_path() -> list[int]:
    batch_id = (request.view_args or {}).get("batch_id")
    return [] if batch_id is None else [batch_id]


def _stored(response: Response) -> StoredAnswer:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return StoredAnswer(response.status_code, headers, response.get_data())


def _fingerprint() -> str:
    parts = (request.method, request.full_path, request.mimetype, request.headers.get("If-Match", ""), body_hash())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
