"""Which service a demo uses: the one that is named, the one that runs, or one of its own."""

from dataclasses import replace

import pytest
import requests

from app.server.demo_service import NoService, problem_with, service_for_demo
from config import Config
from tests.support.postgres import free_port
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS


@pytest.fixture
def live_server(database_url: str, module_servers: SharedServers) -> LiveServer:
    """A running server on each kind of database: nothing here changes it."""
    return module_servers(database_url.partition(":")[0]).server


@pytest.fixture
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The settings, also in the environment of a process that the test may start."""
    config = Config(database_url=database_url, port=free_port(), admin_token="the admin's token")
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ADMIN_TOKEN", "the admin's token")
    return config


def test_the_service_that_is_named_is_used(live_server: LiveServer, settings: Config) -> None:
    with service_for_demo(f"{live_server.url}/", live_server.tokens["operator"], settings) as found:
        assert (found.url, found.token) == (live_server.url, live_server.tokens["operator"])
    assert problem_with(found) is None, "a service that ran before goes on"


def test_the_service_at_host_and_port_is_used(live_server: LiveServer, settings: Config) -> None:
    port = int(live_server.url.rpartition(":")[2])
    with service_for_demo(None, live_server.tokens["operator"], replace(settings, port=port)) as found:
        assert found.url == live_server.url


def test_a_named_service_that_refuses_the_token_is_refused(live_server: LiveServer, settings: Config) -> None:
    with (
        pytest.raises(NoService, match=f"^The service at {live_server.url} cannot be used: it answers 401 "),
        service_for_demo(live_server.url, "wrong", settings),
    ):
        pass


def test_a_named_service_that_does_not_answer_is_refused(settings: Config) -> None:
    with pytest.raises(NoService, match="it does not answer"), service_for_demo("http://127.0.0.1:1", "x", settings):
        pass


def test_where_none_answers_one_is_started_and_stopped_again(settings: Config) -> None:
    with service_for_demo(None, None, settings) as found:
        assert problem_with(found) is None
        assert found.token == "the admin's token"
    with pytest.raises(requests.ConnectionError):
        requests.get(found.url, timeout=LIMIT_SECONDS)


def test_an_own_service_that_does_not_start_says_why(settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    with (
        pytest.raises(NoService, match="did not start:\nError: Wrong settings"),
        service_for_demo(None, None, settings),
    ):
        pass
