"""The endpoints of OpenAI's API that the built-in worker answers: what the url of a ready-made line may be."""

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations")
_SHOWN = 100  # characters of a caller's own words
_BY_URL = {url: each for each in ENDPOINTS for url in (each, each.removeprefix("/v1"))}


def objection_to_url(url: str) -> str | None:
    """Say why no worker answers a line with this url, or None."""
    if url in _BY_URL:
        return None
    return f"url {url[:_SHOWN]!r} is not an endpoint that workers answer; these are: {', '.join(ENDPOINTS)}"


def endpoint_of(url: str) -> str:
    """Name the endpoint of a url as ENDPOINTS does; an unknown url stands for itself."""
    return _BY_URL.get(url, url)
