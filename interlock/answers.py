"""What an answer of the service means: the exception of one that is no success, and how long to wait after it."""

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from interlock.errors import Busy, IdempotencyKeyInUse, InterlockError, NotInterlock, ServiceAway, Unavailable, refusal

DEFAULT_URL = "http://127.0.0.1:5000"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
LONGEST_PAUSE_SECONDS = 10.0
REPEATED = {"GET", "POST"}  # a GET changes nothing, and a POST has an Idempotency-Key


def checked_url(url: str) -> str:
    """Return the service's address without a slash at its end. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an address such as http://127.0.0.1:5000")
    return url.rstrip("/")


def checked_token(token: str | None) -> str | None:
    """Return the token. Raises ValueError if no header can have it."""
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError("The token contains characters that no token has.")
    return token


def is_local(url: str) -> bool:
    """Whether the service is on this machine: then no proxy of the environment is used."""
    return urlsplit(url).hostname in LOCAL_HOSTS


def failure_of(response: httpx.Response) -> InterlockError:
    """Make the exception of an answer that is no success. Its body has been read."""
    try:
        problem = json.loads(response.content)
    except ValueError:
        problem = None
    if isinstance(problem, Mapping) and "code" in problem:
        return refusal(response.status_code, problem)
    if response.status_code in (502, 503, 504):
        return ServiceAway(f"The service is away: the answer was {response.status_code}.")
    return NotInterlock(f"The answer {response.status_code} of {response.request.url} is not one of Interlock.")


def no_answer(url: str, error: httpx.RequestError) -> ServiceAway:
    """Make the exception of a call without an answer."""
    return ServiceAway(f"The service at {url} does not answer: {str(error) or type(error).__name__}.")


def may_repeat(method: str, failure: InterlockError, was_sent: bool) -> bool:
    """Whether the same call may be made again: nothing was changed, or it has an effect only once."""
    if isinstance(failure, Busy | Unavailable | IdempotencyKeyInUse):
        return True
    return isinstance(failure, ServiceAway) and (method in REPEATED or not was_sent)


def pause_seconds(response: httpx.Response | None, attempt: int) -> float:
    """Return how long to wait before the next attempt: longer each time, and at least as long as the service asks."""
    asked = str(response.headers.get("Retry-After", "")) if response is not None else ""
    seconds = float(asked) if asked.isascii() and asked.isdecimal() else 0.0
    return min(max(seconds, 0.2 * 2.0**attempt), LONGEST_PAUSE_SECONDS)
