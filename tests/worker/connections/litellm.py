"""A real server that speaks OpenAI's API: LiteLLM's proxy, whose models answer what its configuration says.

It cannot live in the tests' own environment (it pins gunicorn 23 and an older rich), so it gets one in the user's
cache, made by the first run that needs it: 750 MB, about a minute. Nothing it is asked leaves the machine.
"""

import fcntl
import os
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.postgres import free_port

PACKAGE = "litellm[proxy]==1.108.7"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interlock" / "litellm-1.108.7"
INSTALL_SECONDS, START_SECONDS = 500, 180
MASTER_KEY = "sk-of-the-proxy"
CONFIGURATION = f"""
model_list:
  - model_name: sum
    litellm_params: {{model: openai/m, api_key: none, mock_response: "Four."}}
  - model_name: object
    litellm_params: {{model: openai/m, api_key: none, mock_response: '{{"answer": 4}}'}}
  - model_name: vectors
    litellm_params: {{model: openai/v, api_key: none, mock_response: [0.25, 0.5]}}
  - model_name: busy
    litellm_params: {{model: openai/m, api_key: none, mock_response: "litellm.RateLimitError"}}
  - model_name: broken
    litellm_params: {{model: openai/m, api_key: none, mock_response: "litellm.InternalServerError"}}
general_settings: {{master_key: {MASTER_KEY}}}
litellm_settings: {{num_retries: 0}}
router_settings: {{num_retries: 0, disable_cooldowns: true}}
"""


def installed() -> Path:
    """Find LiteLLM's environment, or make it; two runs at once make one. Skips the test where PyPI is out of reach."""
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    ready = CACHE / "ready"
    with CACHE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            venv.create(CACHE, with_pip=True, clear=True)
            command = [str(CACHE / "bin" / "python"), "-m", "pip", "install", "--quiet", PACKAGE]
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
            if done.returncode:
                pytest.skip(f"LiteLLM could not be installed: {done.stderr[-500:]}")
            ready.touch()
    return CACHE / "bin" / "litellm"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run the proxy; give the address that a connection names."""
    program, port, log = installed(), free_port(), folder / "litellm.log"
    (folder / "litellm.yaml").write_text(CONFIGURATION)
    # Its own environment alone: with DATABASE_URL it would want a database, and the prices are not fetched.
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [str(program), "--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--telemetry", "False"], cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until_alive(process, f"http://127.0.0.1:{port}/health/liveliness", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_alive(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.RequestException:
            pass  # it does not listen yet
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"LiteLLM did not start.\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)
