"""What each page of the UI costs in the server, with 2,000 batches, one of them large: the application in this process.

Which pages there are, the application says: every GET of the UI that answers whole. What it streams (downloads, the
feed) has no cost of a page. The empty page is the form to sign in, which reads nothing.
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
from bench import making
from bench.calls import WrongAnswer
from bench.options import Bench
from bench.results import Result
from bench.rows.statements import counting
from bench.scene import Scene, scene
from config import Config
from tests.support import signing_in

BATCHES = 2_000
PROMPTS, MODELS = 10, 10
FAILED = 500
CALLS_A_ROUND = 10
CEILING_MS = 100.0
ADMIN = "signed-in-and-gone"
ANSWER = {"text": "An answer of the length that answers have. " * 10}
NO_PAGES = {"/sign-in", "/sign-out", "/live", "/live/<ident:batch_id>"}


def pages(bench: Bench) -> list[Result]:
    """Time each page of the UI in turns with an empty one, and count its queries."""
    batches = bench.size(BATCHES, least=20)
    with scene(bench) as there:
        making.many(bench, there, batches - 1)
        batch_id = making.matrix(bench, there, max(1, bench.tasks // (PROMPTS * MODELS)), PROMPTS, MODELS)
        _half_done(bench, there, batch_id)
        with there.services.engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
        with _signed_in(there) as (app, client):
            paths = list(_paths(bench, app, client, _samples(there, batch_id)))
            return _measured(bench, app, client, paths)


def _half_done(bench: Bench, there: Scene, batch_id: int) -> None:
    """Fail some tasks over HTTP and complete half of the others by SQL."""
    with there.caller("worker") as worker:
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
    for done in making.completed_by_sql(there, batch_id, bench.tasks // 2, ANSWER):
        bench.progress.count("tasks completed by SQL", done, bench.tasks // 2)


@contextmanager
def _signed_in(there: Scene) -> Iterator[tuple[Flask, FlaskClient]]:
    url = there.services.engine.url.render_as_string(hide_password=False)
    app = create_app(Config(database_url=url, admin_token=ADMIN))
    services: Services = app.extensions["interlock"]
    try:
        client = app.test_client()
        form = signing_in.form_of(client.get(signing_in.PATH).text, ADMIN)
        client.post(signing_in.PATH, data=form)
        yield app, client
    finally:
        services.engine.dispose()


def _samples(there: Scene, batch_id: int) -> dict[str, Any]:
    (task_id, document_id), *_ = there.rows(
        f"SELECT id, document_id FROM tasks WHERE batch_id = {batch_id} AND kind = 'ANALYZE' ORDER BY id LIMIT 1"
    )
    return {
        "batch_id": batch_id,
        "task_id": task_id,
        "document_id": document_id,
        "request_id": _waited(there, batch_id),
        "action": "pause",
        "version": there.rows(f"SELECT version FROM batches WHERE id = {batch_id}")[0][0],  # after the line above
    }


def _waited(there: Scene, batch_id: int) -> str:
    """Ask for a pause while the row is held, so that it waits; resume the batch, and return the request's id."""
    with there.caller() as caller:
        with there.services.engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT 1 FROM batches WHERE id = {batch_id} FOR UPDATE")
            asked = caller.post(f"/api/batches/{batch_id}/action", {"action": "pause"})
        while caller.get(f"/api/requests/{asked['request_id']}")["status"] == "QUEUED":
            time.sleep(0.1)
        caller.act(batch_id, "resume")
    return str(asked["request_id"])


def _paths(bench: Bench, app: Flask, client: FlaskClient, samples: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Walk the pages: each with its path. Raises WrongAnswer where one does not answer."""
    adapter = app.url_map.bind("localhost")
    for rule in sorted(app.url_map.iter_rules(), key=str):
        view = app.view_functions[rule.endpoint]
        is_page = view.__module__.startswith("app.ui.") and "GET" in (rule.methods or ())
        if not is_page or str(rule) in NO_PAGES or "filename" in rule.arguments:
            continue
        if missing := rule.arguments - samples.keys():
            bench.progress.say(f"left out, for there is no sample of {', '.join(sorted(missing))}: {rule}")
            continue
        shown = {"version"} if "action" in rule.arguments else set()  # what a page showed goes with each action
        path = adapter.build(rule.endpoint, {name: samples[name] for name in rule.arguments | shown})
        answer = client.get(path)
        if answer.status_code >= 400:
            raise WrongAnswer(f"GET {path}: {answer.status}")
        is_whole = answer.status_code == 200 and "Content-Length" in answer.headers
        answer.close()
        if is_whole:
            yield str(rule), path


def _measured(bench: Bench, app: Flask, client: FlaskClient, paths: list[tuple[str, str]]) -> list[Result]:
    empty: list[float] = []
    took: dict[str, list[float]] = {rule: [] for rule, _ in paths}
    visitor = app.test_client()  # not signed in: the empty page is a form
    calls = max(20, bench.rounds * CALLS_A_ROUND)
    for number in range(-1, calls):
        for rule, path in paths:
            for times, who, asked in ((empty, visitor, signing_in.PATH), (took[rule], client, path)):
                begun = time.perf_counter()
                who.get(asked).get_data()
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
