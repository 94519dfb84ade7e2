"""The admin's token file, and the embedded worker's token."""

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from app.server import admin_token
from app.server.admin_token import with_admin_token
from app.server.worker_token import each_token, revoke_worker_token, worker_token


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "var" / "admin-token"
    monkeypatch.setattr(admin_token, "KEPT_TOKEN", path)
    return path


def test_the_first_start_makes_a_token_that_only_its_owner_reads(token_file: Path, config) -> None:
    token = with_admin_token(config).admin_token
    assert token_file.read_text().strip() == token
    assert len(token) >= 40
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert list(token_file.parent.iterdir()) == [token_file]


def test_the_next_start_uses_the_same_token(token_file: Path, config) -> None:
    assert with_admin_token(config) == with_admin_token(config)


def test_the_setting_goes_before_the_file(token_file: Path, config) -> None:
    assert with_admin_token(replace(config, admin_token="mine")).admin_token == "mine"
    assert not token_file.exists()


def test_servers_that_start_at_once_agree_on_one_token(token_file: Path, config) -> None:
    with ThreadPoolExecutor(8) as starts:
        assert len(set(starts.map(lambda _: with_admin_token(config).admin_token, range(40)))) == 1


def test_the_workers_token_is_a_workers_and_replaces_the_one_before(services, config) -> None:
    first, second = worker_token(config), worker_token(config)
    assert services.tokens.caller(first) is None
    assert services.tokens.caller(second).role == "worker"
    assert len(list(each_token(services.tokens))) == 1


def test_another_servers_worker_keeps_its_token(services, config) -> None:
    other = worker_token(replace(config, port=config.port + 1))
    worker_token(config)
    assert services.tokens.caller(other) is not None


def test_the_workers_token_ends_with_its_server(services, config) -> None:
    token = worker_token(config)
    revoke_worker_token(config)
    assert services.tokens.caller(token) is None


def test_every_token_is_listed_beyond_one_page(services) -> None:
    made = [services.tokens.create(f"token {number}", "viewer")["id"] for number in range(201)]
    assert [row["id"] for row in each_token(services.tokens)] == made
