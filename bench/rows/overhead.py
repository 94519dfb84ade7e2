"""What metrics and traces cost: actions on a service with both, with metrics alone, and with neither, in turns."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import Any

from bench import make_batches
from bench.deployment import deployed
from bench.options import Bench
from bench.results import Result
from bench.rounds import alternate, ratio
from bench.rows.actions import BATCHES, MIN_BATCHES, WARM_UP_SECONDS
from bench.rows.bare import Side
from tests.support.process import new_interpreter

NEITHER, METRICS, BOTH = "neither", "metrics", "metrics and traces"
SAMPLED = 0.01
LEAST = 0.97  # of the rate without them


def overhead(bench: Bench) -> list[Result]:
    """Actions with metrics and traces (1 % of the batches sampled), beside the same without; rates, processor time."""
    batches = bench.size(BATCHES, least=MIN_BATCHES)
    with ExitStack() as opened:
        traces = opened.enter_context(_collector())
        sides = {}
        for name, settings in ((NEITHER, {"start": _without_metrics}), (METRICS, {}), (BOTH, traces)):
            deployment = opened.enter_context(deployed(bench, **settings))
            make_batches.many(bench, deployment, batches)
            sides[name] = Side(deployment.server, deployment.database_url)
        for side in sides.values():
            side.act(WARM_UP_SECONDS)
            side.costs.clear()
        bench.progress.say("pause, resume: with and without metrics and traces, in turns")
        measures = {name: (lambda side=side: side.act(bench.seconds)) for name, side in sides.items()}
        found = alternate(measures, bench.rounds, bench.progress)
    compared = [(METRICS, NEITHER, None), (BOTH, METRICS, None), (BOTH, NEITHER, LEAST)]
    return [
        *(_rates(found, over, under, floor) for over, under, floor in compared),
        *(_costs(sides, over, under) for over, under, _ in compared),
    ]


def _rates(found: dict[str, list[float]], over: str, under: str, floor: float | None) -> Result:
    return Result(
        f"pause, resume: with {over}, beside {under}",
        f"{median(found[over]):,.0f} actions/s",
        f"{median(found[under]):,.0f} actions/s",
        ratio(found[over], found[under]),
        at_least=floor,
    )


def _costs(sides: dict[str, Side], over: str, under: str) -> Result:
    """Compare the processor time by the medians of the rounds' ratios: a busy machine slows both sides of a round."""
    ratios = (a.both / b.both for a, b in zip(sides[over].costs, sides[under].costs, strict=True))
    return Result(
        f"pause, resume: processor time with {over}, beside {under}",
        str(sides[over].cost),
        str(sides[under].cost),
        median(ratios),
    )


def _without_metrics(*arguments: str, **more: Any) -> Any:
    """Start a server that counts nothing: it takes the place of `app.cli`."""
    return new_interpreter(*("bench.without_metrics" if each == "app.cli" else each for each in arguments), **more)


@contextmanager
def _collector() -> Iterator[dict[str, str]]:
    """Run a collector that drops what it gets; yield the settings of a service that sends its spans there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": str(SAMPLED),
        }
    finally:
        server.shutdown()
        server.server_close()


class _Collector(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
