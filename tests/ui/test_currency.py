"""The setting CURRENCY: the pages write it after each cost."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.services import Services
from app.ui.filters import CURRENCY
from config import Config
from tests.services import stories
from tests.services.stories import complete, lease
from tests.ui.visits import read, words

COST = "1.50 EUR"


def test_a_cost_has_its_currency(app: Flask, service: Services, viewer: FlaskClient) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=1)
    (task,) = lease(service, batch_id)
    complete(service, task, {"text": "yes", "usage": {"input_tokens": 1, "cost": 1.5}})
    paths = ("/", f"/batches/{batch_id}", f"/batches/{batch_id}/tasks/{task['id']}")
    assert not any("EUR" in words(read(viewer, path)) for path in paths)
    app.config[CURRENCY] = "EUR"
    assert all(COST in words(read(viewer, path)) for path in paths)


def test_it_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURRENCY", "CHF")
    assert Config.from_environment().currency == "CHF"
