"""The endpoints that the worker answers are those that the import of lines takes."""

from app.domain.answer.endpoints import ENDPOINTS, objection_to_url
from app.worker.connections.endpoints import READERS, path_of


def test_both_know_the_same_endpoints() -> None:
    assert {path_of(url) for url in ENDPOINTS} == set(READERS)
    assert not any(map(objection_to_url, [*ENDPOINTS, *READERS]))


def test_no_other_url_is_answered() -> None:
    for url in ("/v1", "/v1/", "", "/v1/v1/responses", "/v1/responses/", "responses", "https://a/v1/responses"):
        assert path_of(url) is None
        assert objection_to_url(url)
