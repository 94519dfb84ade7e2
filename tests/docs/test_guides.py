"""What README and operator's guide print is what happens: their shell blocks are run, their answers compared."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.services import build
from app.services.upkeep.verify import verify
from config import Config
from tests.docs.blocks import Reader, parts_of
from tests.docs.shown_answers import hold_against
from tests.support.process import ROOT
from tests.support.server import LiveServer
from tests.support.waiting import LIMIT_SECONDS

GUIDE, README = ROOT / "docs" / "operators.md", ROOT / "README.md"
ANSWER = 'HTTP/1.1 200 OK\r\nETag: "3"\r\n\r\n{"id":7,"tags":["a","b"],"at":"now","deep":{"x":null}}'


def test_the_operators_guide_happens_as_it_is_told(
    start_server: Callable[..., LiveServer], postgres_url: str, tmp_path: Path
) -> None:
    """Contract 5. On PostgreSQL alone: SQLite has no row locks, and so no queued requests to show."""
    server = start_server(postgres_url)
    reader = Reader(GUIDE, server.url, server.tokens["admin"], tmp_path, postgres_url)
    shown = sum(part.kind == "http" for part in parts_of(GUIDE))
    assert reader.follow() == shown > 30
    assert contradictions(postgres_url) == []


def test_the_readmes_answer_is_the_real_one(
    start_server: Callable[..., LiveServer], sqlite_url: str, tmp_path: Path
) -> None:
    """On SQLite alone, which `make run` uses. The batch of the demo is played here."""
    server = start_server(sqlite_url)
    _complete_a_batch(server)
    assert Reader(README, server.url, server.tokens["admin"], tmp_path).follow() >= 1
    assert contradictions(sqlite_url) == []


def contradictions(database_url: str) -> list[str]:
    services = build(Config(database_url=database_url))
    try:
        return list(verify(services.engine))
    finally:
        services.engine.dispose()


def _complete_a_batch(server: LiveServer) -> None:
    body = {
        "name": "as the demo's",
        "documents": [{"name": "a.txt", "text": "One."}],
        "prompts": [{"name": "p", "text": "{document}"}],
        "models": [{"connection": "local", "model": "textstats"}],
    }
    with server.session() as http:
        assert http.post(f"{server.url}/api/batches", json=body, timeout=LIMIT_SECONDS).json()["id"] == 1
        for action in ("stage", "run"):
            answer = http.post(f"{server.url}/api/batches/1/action", json={"action": action}, timeout=LIMIT_SECONDS)
            assert answer.status_code == 200
            _play_worker(server)


def _play_worker(server: LiveServer) -> None:
    environment = {"URL": server.url, "TOKEN": server.tokens["worker"]}
    command = [sys.executable, "docs/play_worker.py", "complete", "1"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True, timeout=LIMIT_SECONDS)


@pytest.mark.parametrize(
    "shown",
    [
        'HTTP/1.1 200 OK\n\n{"id": 7}',
        'HTTP/1.1 200 OK\nETag: "3"\n\n{"tags": ["a", "..."], "at": "..."}',
        'HTTP/1.1 200 OK\nETag: "..."\n\n{"deep": {"x": null}}',
        "HTTP/1.1 200 OK",
    ],
)
def test_an_answer_may_be_shown_shortened(shown: str) -> None:
    hold_against(shown, ANSWER, "here")


@pytest.mark.parametrize(
    "shown",
    [
        'HTTP/1.1 201 CREATED\n\n{"id": 7}',
        'HTTP/1.1 200 OK\nETag: "4"\n\n{"id": 7}',
        'HTTP/1.1 200 OK\nLocation: ...\n\n{"id": 7}',
        'HTTP/1.1 200 OK\n\n{"id": "7"}',
        'HTTP/1.1 200 OK\n\n{"name": "..."}',
        'HTTP/1.1 200 OK\n\n{"tags": ["a"]}',
        'HTTP/1.1 200 OK\n\n{"deep": {"x": false}}',
        'HTTP/1.1 200 OK\n\n{"id": 7}\n{"id": 8}',
    ],
)
def test_an_answer_that_differs_is_found(shown: str) -> None:
    with pytest.raises(AssertionError):
        hold_against(shown, ANSWER, "here")
