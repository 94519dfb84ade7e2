"""Sign in to the UI without a browser, as one does: the form, its CSRF token, and the cookie that the client keeps."""

import re
from typing import Any

_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
PATH = "/sign-in"


def form_of(text: str, token: str) -> dict[str, Any]:
    """Fill in the form of a sign-in page."""
    found = _CSRF.search(text)
    assert found, "the sign-in page has no form with a CSRF token"
    return {"csrf_token": found[1], "token": token}
