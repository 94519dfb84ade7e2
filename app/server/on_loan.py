"""A service for the time of a demo: the one that runs already, or one that is started for it and stopped again."""

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
from app.server.leaving import die_with_parent
from config import Config

ROOT = Path(__file__).parent.parent.parent
START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS = 60.0, 30.0


class NoService(Exception):
    """There is no service to use; the message is the sentence for the operator."""


@dataclass(frozen=True)
class Service:
    url: str
    token: str


@contextmanager
def service_on_loan(url: str | None, token: str | None, config: Config) -> Iterator[Service]:
    """Yield the service at `url`, or else the one at HOST:PORT if it lets us in, or else one of our own.

    Raises NoService when `url` is given and does not let us in, or when the own one does not start.
    """
    token = token or with_admin_token(config).admin_token or ""
    asked = Service((url or base_url(config)).rstrip("/"), token)
    if reason := why_not(asked):
        if url:
            raise NoService(f"The service at {url} cannot be used: {reason}.")
        with own_service(config) as own:
            yield own
    else:
        yield asked


def why_not(service: Service) -> str | None:
    """Say why the service cannot be used with this token, or None when it can."""
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
def own_service(config: Config) -> Iterator[Service]:
    """Run a service with an embedded worker on a free port, on the database that the settings name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        config = replace(with_admin_token(config), host="127.0.0.1", port=probe.getsockname()[1])
    service = Service(base_url(config), config.admin_token or "")
    settings = {"HOST": config.host, "PORT": str(config.port), "EMBEDDED_WORKER": "1"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
            start_new_session=True,  # Ctrl-C ends the demo, which then stops its service in order
        )
        try:
            _wait_for(service, process)
            yield service
        except NoService as error:
            output.seek(0)
            said = output.read().decode(errors="replace").splitlines()
            raise NoService("\n".join([str(error), *said[-5:]])) from error
        finally:
            _stop(process)


def _wait_for(service: Service, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while reason := why_not(service):
        if process.poll() is not None:
            raise NoService("The service for the demo did not start:")
        if time.monotonic() > deadline:
            raise NoService(f"The service for the demo cannot be used: {reason}.")
        time.sleep(0.1)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
