"""Every page of the UI sends at most ten statements to the database, whatever there is to show."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.domain.transitions import ACTIONS
from app.services import Services
from tests.services import stories
from tests.support.client import ApiClient
from tests.support.statements import counted
from tests.ui.visits import visitor

MOST = 10
STREAMS = {"ui_live.batches", "ui_live.batch"}  # held open; what they ask is that of the fragment that follows


def filled(services: Services) -> dict[str, Any]:
    """A batch with failures, answers, leased and waiting tasks, late changes; with what addresses name of it."""
    services.webhooks.create(
        {"url": "https://example.com/", "types": ["batch.failed"], "format": "standard"}, actor="an admin"
    )
    batch_id = stories.bring(services, "ANALYZING", documents=12, models=2)
    for task in stories.lease(services, batch_id, most=4):
        stories.fail(services, task, retryable=False)
    for task in stories.lease(services, batch_id, most=4):
        stories.complete(services, task)
    stories.lease(services, batch_id, most=4)
    services.sightings.write()
    stories.report_calls(services, "failed", message="refused")
    task = services.reads.tasks.page(batch_id, stories.Wanted(), 1).tasks[0]
    return {
        "batch_id": batch_id,
        "task_id": task["id"],
        "document_id": services.reads.documents.page(batch_id)[0][0]["id"],
        "webhook_id": services.webhooks.list()[0]["id"],
        "request_id": "none",
        "version": services.reads.batches.show(batch_id)["version"],
    }


def addresses(app: Flask, values: dict[str, Any]) -> Iterator[str]:
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        is_page = app.view_functions[rule.endpoint].__module__.startswith("app.ui.") and "GET" in (rule.methods or ())
        if not is_page or rule.endpoint in STREAMS or "filename" in rule.arguments:
            continue
        for action in ACTIONS if "action" in rule.arguments else (None,):
            given = {name: values[name] for name in rule.arguments if name != "action"}
            more = {} if action is None else {"action": action, "version": values["version"]}
            yield adapter.build(rule.endpoint, {**given, **more})


@pytest.mark.parametrize("ends", [None, "cancel"])
def test_every_page_sends_few(app: Flask, client: ApiClient, services: Services, ends: str | None) -> None:
    service: Services = app.extensions["interlock"]
    admin = visitor(app, client.tokens, "admin")
    values = filled(service)
    if ends:
        stories.act(service, values["batch_id"], ends)
        values["version"] += 1
    sent: dict[str, int] = {}
    for address in addresses(app, values):
        with counted(service) as statements, admin.get(address) as answer:
            answer.get_data()
        assert answer.status_code < 500, address
        sent[address] = len(statements)
    assert len(sent) > 30
    assert {address: amount for address, amount in sent.items() if amount > MOST} == {}
