"""Contract 6: how it is run: the words of the Makefile, and the settings with their defaults."""

import re
from pathlib import Path

import pytest

from config import Config

ROOT = Path(__file__).parents[2]
WORDS = ["run", "demo", "test"]
SETTINGS = [
    "DATABASE_URL",
    "HOST",
    "PORT",
    "ADMIN_TOKEN",
    "LOCK_TIMEOUT_MS",
    "REQUEST_TTL_S",
    "WORKERS",
    "EMBEDDED_WORKER",
]


@pytest.mark.parametrize("word", WORDS)
def test_the_words_of_make(word: str) -> None:
    """Contract 6: make run, make demo, make test."""
    assert re.search(rf"^{word}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 6: SQLite in ./var, http://127.0.0.1:5000, one embedded worker; contract 4: 250 ms and 60 s."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    config = Config.from_environment()
    assert config.database_url == f"sqlite:///{ROOT / 'var' / 'interlock.db'}"
    assert (config.host, config.port, config.admin_token) == ("127.0.0.1", 5000, None)
    assert (config.lock_timeout_ms, config.request_ttl_s, config.embedded_worker) == (250, 60, True)


def test_the_environment_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 6: settings are the environment's."""
    given = ["sqlite:////tmp/x.db", "0.0.0.0", "5001", "a secret of admins", "100", "30", "3", "0"]
    for name, value in zip(SETTINGS, given, strict=True):
        monkeypatch.setenv(name, value)
    config = Config.from_environment()
    assert (config.database_url, config.host, config.port, config.admin_token) == (given[0], given[1], 5001, given[3])
    assert (config.lock_timeout_ms, config.request_ttl_s, config.workers, config.embedded_worker) == (100, 30, 3, False)
