"""The time that the server needs for each page, with 2,000 batches of which one is large. The application runs here.

The list of pages comes from the application: every GET of the UI with a complete answer. Streams (downloads, the feed)
are left out. The empty page is the sign-in form, which reads nothing from the database.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.services import Services
from bench import make_batches
from bench.api_caller import WrongAnswer
from bench.deployment import Deployment, deployed
from bench.options import Bench
from bench.results import Result
from bench.rows.statements import counting
from config import Config
from tests.support import signing_in

BATCHES = 2_000
PROMPTS, MODELS = 10, 10
FAILED = 500
CALLS_A_ROUND = 10
CEILING_MS = 100.0
ADMIN = "signed-in-and-gone"
ANSWER = {"text": "An answer of the length that answers have. " * 10}
# Pages that a filter, an order or a search makes slower.
QUERIES = {
    "ui_results.results": (
        "?show=failed", "?show=differ", "?show=no_answer", "?find=00", "?show=differ&find=99", "?held=m2&lines=all",
        "?sort=slowest&by=1.1", "?sort=slowest&by=1.1&find=99", "?sort=slowest&by=1.1&show=failed",
        "?sort=slowest&by=1.1&cursor=600.1", "?sort=dearest&by=1.1",
    ),
    "ui_search.find": ("?q=0000", "?q=batch", "?q=no such thing"),
    "ui_batches.index": ("?name=9", "?sort=name", "?state=FAILED"),
    "ui_activity.activity": ("?actor=nobody", "?trigger=stage&hours=24"),
    "ui_tasks.tasks": ("?status=FAILED", "?code=timeout"),
}  # fmt: skip
NO_PAGES = {"/sign-in", "/sign-out", "/live", "/live/<ident:batch_id>"}


def pages(bench: Bench) -> list[Result]:
    """Time each page of the UI in turns with an empty page, and count its queries."""
    batches = bench.size(BATCHES, least=20)
    with deployed(bench) as deployment:
        make_batches.many(bench, deployment, batches - 1)
        batch_id = make_batches.matrix(bench, deployment, max(1, bench.tasks // (PROMPTS * MODELS)), PROMPTS, MODELS)
        _half_done(bench, deployment, batch_id)
        with deployment.services.engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
        with _signed_in(deployment) as (app, client):
            paths = list(_paths(bench, app, client, _samples(deployment, batch_id)))
            return _measured(bench, app, client, paths)


def _half_done(bench: Bench, deployment: Deployment, batch_id: int) -> None:
    """Fail some tasks over HTTP and complete half of the others by SQL."""
    with deployment.caller("worker") as worker:
        wanted = {"worker": "bench", "batch_id": batch_id, "max_tasks": min(FAILED, bench.tasks // 10)}
        error = {"code": "timeout", "message": "The model server did not answer."}
        reports = [
            {
                "task_id": t["id"],
                "lease_token": t["lease_token"],
                "outcome": "failed",
                "error": error,
                "retryable": False,
            }
            for t in worker.post("/api/tasks/lease", wanted)["tasks"]
        ]
        worker.post("/api/tasks/report", {"reports": reports})
    for done in make_batches.complete_by_sql(deployment, batch_id, bench.tasks // 2, ANSWER):
        bench.progress.count("tasks completed by SQL", done, bench.tasks // 2)


@contextmanager
def _signed_in(deployment: Deployment) -> Iterator[tuple[Flask, FlaskClient]]:
    url = deployment.services.engine.url.render_as_string(hide_password=False)
    app = create_app(Config(database_url=url, admin_token=ADMIN))
    services: Services = app.extensions["interlock"]
    try:
        client = app.test_client()
        form = signing_in.form_of(client.get(signing_in.PATH).text, ADMIN)
        client.post(signing_in.PATH, data=form)
        yield app, client
    finally:
        services.engine.dispose()


def _samples(deployment: Deployment, batch_id: int) -> dict[str, Any]:
    (task_id, document_id), *_ = deployment.rows(
        f"SELECT id, document_id FROM tasks WHERE batch_id = {batch_id} AND kind = 'ANALYZE' ORDER BY id LIMIT 1"
    )
    return {
        "batch_id": batch_id,
        "task_id": task_id,
        "document_id": document_id,
        "request_id": _queued_request(deployment, batch_id),
        "action": "pause",
        "version": deployment.rows(f"SELECT version FROM batches WHERE id = {batch_id}")[0][
            0
        ],  # after the queued request has changed it
    }


def _queued_request(deployment: Deployment, batch_id: int) -> str:
    """Request a pause while the row is locked, so that it is queued; then resume the batch. Return the request's id."""
    with deployment.caller() as caller:
        with deployment.services.engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT 1 FROM batches WHERE id = {batch_id} FOR UPDATE")
            queued = caller.post(f"/api/batches/{batch_id}/action", {"action": "pause"})
        while caller.get(f"/api/requests/{queued['request_id']}")["status"] == "QUEUED":
            time.sleep(0.1)
        caller.act(batch_id, "resume")
    return str(queued["request_id"])


def _paths(bench: Bench, app: Flask, client: FlaskClient, samples: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each page: its rule and a path. Raises WrongAnswer if a page fails."""
    adapter = app.url_map.bind("localhost")
    for rule in sorted(app.url_map.iter_rules(), key=str):
        view = app.view_functions[rule.endpoint]
        is_page = view.__module__.startswith("app.ui.") and "GET" in (rule.methods or ())
        if not is_page or str(rule) in NO_PAGES or "filename" in rule.arguments:
            continue
        if missing := rule.arguments - samples.keys():
            bench.progress.say(f"left out, since there is no sample of {', '.join(sorted(missing))}: {rule}")
            continue
        shown = (
            {"version"} if "action" in rule.arguments else set()
        )  # the form of an action sends the version that its page showed
        path = adapter.build(rule.endpoint, {name: samples[name] for name in rule.arguments | shown})
        for query in ("", *QUERIES.get(rule.endpoint, ())):
            if _is_whole_page(client, path + query):
                yield str(rule) + query, path + query


def _is_whole_page(client: FlaskClient, path: str) -> bool:
    """Whether an address has a page with a complete answer. Raises WrongAnswer if it fails."""
    with client.get(path) as answer:
        if answer.status_code >= 400:
            raise WrongAnswer(f"GET {path}: {answer.status}")
        return answer.status_code == 200 and "Content-Length" in answer.headers


def _measured(bench: Bench, app: Flask, client: FlaskClient, paths: list[tuple[str, str]]) -> list[Result]:
    empty: list[float] = []
    took: dict[str, list[float]] = {rule: [] for rule, _ in paths}
    visitor = app.test_client()  # not signed in: gets the sign-in form
    calls = max(20, bench.rounds * CALLS_A_ROUND)
    for number in range(-1, calls):
        for rule, path in paths:
            for times, caller, url in ((empty, visitor, signing_in.PATH), (took[rule], client, path)):
                begun = time.perf_counter()
                caller.get(url).get_data()
                if number >= 0:
                    times.append((time.perf_counter() - begun) * 1_000)
        bench.progress.count("calls of each page", number + 1, calls)
    beside = _words(empty)
    engine = app.extensions["interlock"].engine
    results = []
    for rule, path in paths:
        with counting(engine) as trips:
            client.get(path).get_data()
        what = f"page {rule}, {bench.tasks:,} tasks"
        measured = f"{_words(took[rule])}, {trips.statements} queries"
        p95 = _p(95, took[rule])
        results.append(
            Result(what, measured, f"empty page {beside}", p95 / _p(95, empty), at_most=CEILING_MS, value=p95)
        )
    return results


def _p(percent: int, times: list[float]) -> float:
    return quantiles(times, n=100, method="inclusive")[percent - 1]


def _words(times: list[float]) -> str:
    return f"p50 {_p(50, times):.1f} ms, p95 {_p(95, times):.1f} ms"
