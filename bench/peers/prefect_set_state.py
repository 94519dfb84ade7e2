"""Prefect's server: how many changes of a state it makes in a second, as `set_state` of flow runs.

Run as `python prefect_set_state.py PORT SECONDS CONNECTIONS`, with PREFECT_HOME naming an empty folder: the server has
its own database there. Each connection changes its own flow run, from PENDING to RUNNING and back, with `force`.
"""

import json
import subprocess
import sys
import time
from http.client import HTTPConnection
from threading import Thread
from urllib.error import URLError
from urllib.request import urlopen

import prefect

HEADERS = {"Content-Type": "application/json"}
START_SECONDS = 120


def call(connection: HTTPConnection, path: str, body: object) -> dict[str, object]:
    connection.request("POST", f"/api{path}", json.dumps(body), HEADERS)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status in (200, 201), (answer.status, text)
    return dict(json.loads(text))


def change(port: int, flow_id: object, seconds: float, counts: list[int]) -> None:
    connection = HTTPConnection("127.0.0.1", port)
    run = call(connection, "/flow_runs/", {"flow_id": flow_id, "state": {"type": "PENDING"}})
    until, done = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        state = {"type": "PENDING" if done % 2 else "RUNNING"}
        call(connection, f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
        done += 1
    counts.append(done)


def wait_until_ready(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.2)
    raise SystemExit("Prefect's server does not start.")


def main() -> None:
    port, seconds, connections = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    start = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    server = subprocess.Popen([sys.executable, *start], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        flow = call(HTTPConnection("127.0.0.1", port), "/flows/", {"name": "bench"})
        for measured in (1.0, seconds):  # the first one warms up
            counts: list[int] = []
            threads = [Thread(target=change, args=(port, flow["id"], measured, counts)) for _ in range(connections)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(counts) == connections
        print(json.dumps({"version": prefect.__version__, "per_second": sum(counts) / seconds}))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
