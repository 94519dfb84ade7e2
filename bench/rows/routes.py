"""The cost of a call itself: an empty route, and a route that reads a batch."""

from statistics import median

from bench import make_batches
from bench.deployment import deployed
from bench.load import load, request_line
from bench.options import Bench
from bench.results import Result
from bench.rounds import alternate


def empty(bench: Bench) -> list[Result]:
    """GET an empty route, and a batch, on all connections."""
    with deployed(bench) as deployment:
        batch_id = make_batches.many(bench, deployment, 1)[0]
        bench.progress.say("an empty route and GET of a batch in turns")

        def get(path: str, seconds: int) -> float:
            return load(deployment.server, "viewer", [request_line(path)], seconds).per_second

        found = alternate(
            {
                "/healthz": lambda: get("/healthz", bench.seconds),
                "batch": lambda: get(f"/api/batches/{batch_id}", bench.seconds),
            },
            bench.rounds,
            bench.progress,
        )
    return [
        Result("GET /healthz, an empty route", f"{median(found['/healthz']):,.0f} requests/s"),
        Result("GET of a batch", f"{median(found['batch']):,.0f} requests/s"),
    ]
