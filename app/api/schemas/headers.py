"""The headers of answers, for the OpenAPI document."""

from http import HTTPStatus
from typing import Any

Headers = dict[str, dict[str, Any]]


def _header(description: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "description": description}


ETAG: Headers = {"ETag": _header("The version of the batch in double quotes, for If-Match")}
LOCATION: Headers = {"Location": _header("The address of what was created")}
RETRY_AFTER: Headers = {"Retry-After": _header("The seconds after which to send the request again")}
MEDIA_TYPE: Headers = {"X-Media-Type": _header("The document's own media type")}
DATABASE_TIME: Headers = {"Database-Time": _header("The time of the clock by which leases run out")}
_REALM: Headers = {"WWW-Authenticate": _header("The scheme and the realm in which a token is needed")}

OF_REFUSALS: dict[HTTPStatus, Headers] = {
    HTTPStatus.UNAUTHORIZED: _REALM,
    HTTPStatus.FORBIDDEN: _REALM,
    HTTPStatus.SERVICE_UNAVAILABLE: RETRY_AFTER,
}
