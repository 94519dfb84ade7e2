"""Long answers hold few threads of a process: one more is refused, and a reader that leaves makes room."""

from contextlib import ExitStack

import pytest
from flask import Flask

from app.web.downloads import MOST_DOWNLOADS
from app.web.streams import MOST_STREAMS
from config import Config
from tests.services.stories import bring
from tests.support.client import ApiClient


def test_they_are_a_quarter_of_the_threads() -> None:
    assert max(MOST_STREAMS, MOST_DOWNLOADS) <= Config(database_url="sqlite://").threads // 4


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("kind", "most"), [("download", MOST_DOWNLOADS), ("stream", MOST_STREAMS)])
def test_one_more_is_refused_until_one_ends(app: Flask, client: ApiClient, kind: str, most: int) -> None:
    batch_id = bring(app.extensions["interlock"], "COMPLETED")
    path = {"download": f"/api/batches/{batch_id}/results", "stream": "/api/events"}[kind]
    with ExitStack() as opened:
        for _ in range(most):
            answer = client.get(path, buffered=False)
            opened.callback(answer.close)
            assert answer.status_code == 200
            assert next(iter(answer.response))
        refused = client.get(path)
        assert (refused.status_code, refused.json["code"]) == (503, "busy")
        assert int(refused.headers["Retry-After"]) >= 1
        assert client.get(f"/api/batches/{batch_id}").status_code == 200
    with client.get(path, buffered=False) as again:
        assert again.status_code == 200
