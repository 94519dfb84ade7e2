"""The service that a demo uses: one that already runs, or a temporary one that is started for the demo."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from app.server.address import base_url
from app.server.admin_token import with_admin_token
from app.server.cleanup import die_with_parent
from config import Config

ROOT = Path(__file__).parent.parent.parent
START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS = 60.0, 30.0
LOG_LINES = 5  # shown of a service that did not start


class NoService(Exception):
    """There is no service to use. The message is a sentence for the operator."""


@dataclass(frozen=True)
class Service:
    url: str
    token: str


@contextmanager
def service_for_demo(url: str | None, token: str | None, config: Config) -> Iterator[Service]:
    """Yield the service at `url`; without `url`, the service at HOST:PORT if it can be used, or a temporary one.

    Raises NoService when the service at `url` cannot be used, or when the temporary one does not start.
    """
    token = token or with_admin_token(config).admin_token or ""
    running = Service((url or base_url(config)).rstrip("/"), token)
    problem = problem_with(running)
    if problem is None:
        yield running
    elif url:
        raise NoService(f"The service at {url} cannot be used: {problem}.")
    else:
        with temporary_service(config) as started:
            yield started


def problem_with(service: Service) -> str | None:
    """Explain why the service cannot be used with this token, or return None if it can."""
    try:
        answer = requests.get(
            f"{service.url}/api/batches?limit=1",
            headers={"Authorization": f"Bearer {service.token}"},
            timeout=5,
        )
    except requests.RequestException:
        return "it does not answer"
    return None if answer.status_code == 200 else f"it answers {answer.status_code} to this token"


@contextmanager
def temporary_service(config: Config) -> Iterator[Service]:
    """Run a service with an embedded worker on a free port, on the database of the settings."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        config = replace(with_admin_token(config), host="127.0.0.1", port=probe.getsockname()[1])
    service = Service(base_url(config), config.admin_token or "")
    settings = {"HOST": config.host, "PORT": str(config.port), "EMBEDDED_WORKER": "1"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
            start_new_session=True,  # Ctrl-C reaches only the demo, which then stops the service
        )
        try:
            _wait_for(service, process)
            yield service
        except NoService as error:
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
            raise NoService("\n".join([str(error), *lines[-LOG_LINES:]])) from error
        finally:
            _stop(process)


def _wait_for(service: Service, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while problem := problem_with(service):
        if process.poll() is not None:
            raise NoService("The service for the demo did not start:")
        if time.monotonic() > deadline:
            raise NoService(f"The service for the demo cannot be used: {problem}.")
        time.sleep(0.1)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
