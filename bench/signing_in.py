"""Sign in to the UI as a browser does: the form, its CSRF token, the cookie. For any client that has get and post."""

import re
from typing import Any

from bench.calls import WrongAnswer

_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
PATH = "/sign-in"


def form_of(text: str, token: str) -> dict[str, Any]:
    """Fill in the form of a sign-in page. Raises WrongAnswer."""
    found = _CSRF.search(text)
    if found is None:
        raise WrongAnswer("The sign-in page has no form with a CSRF token.")
    return {"csrf_token": found[1], "token": token}
