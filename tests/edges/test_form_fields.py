"""4 MiB of form fields from somebody without a token: a server process takes no memory for them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.process_memory import measured_memory
from tests.support.server import SharedServers
from tests.support.waiting import LIMIT_SECONDS

FORM = b"a=&" * (4 * 1024 * 1024 // 3)
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
CALLERS = 4
MOST_MB = 64


@pytest.mark.parametrize("path", ["/sign-in", "/batches/new"])
def test_many_form_fields_take_no_memory(shared_servers: SharedServers, path: str) -> None:
    server = shared_servers("sqlite").server

    def post() -> int:
        """Post the form; 0 if the service closed the connection before all of it was sent."""
        try:
            answer = requests.post(
                server.url + path, data=FORM, headers=HEADERS, timeout=LIMIT_SECONDS, allow_redirects=False
            )
            return answer.status_code
        except requests.ConnectionError:
            return 0

    with measured_memory(server.web_pids()) as memory, ThreadPoolExecutor(CALLERS) as pool:
        statuses = set(pool.map(lambda _: post(), range(CALLERS)))
    assert statuses <= {0, 401, 413}
    assert memory.grown_mb < MOST_MB
