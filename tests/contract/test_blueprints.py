"""A route or page is never half added: its module is registered, and this table says who may open which page."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest
from flask import Blueprint, Flask

from app import api, create_app, ui, v1
from app.schema import migrate
from config import Config
from tests.support.client import ApiClient, api_client
from tests.ui.visits import visitor

UNKNOWN = "999999"  # an id that nothing has
READERS, OPERATORS, ADMINS, EVERYONE = "viewer", "operator", "admin", None
# address of a page -> the least role that may open it
PAGES = {
    "GET /": READERS,
    "POST /batches/bulk": OPERATORS,
    "POST /batches/bulk/apply": OPERATORS,
    "GET /batches/<batch_id>": READERS,
    "GET /batches/<batch_id>/now": READERS,
    "GET /batches/<batch_id>/head": READERS,
    "GET /batches/<batch_id>/beside": READERS,
    "GET /batches/<batch_id>/failures": READERS,
    "GET /batches/<batch_id>/input": READERS,
    "GET /batches/<batch_id>/input/edit": OPERATORS,
    "POST /batches/<batch_id>/input/edit": OPERATORS,
    "GET /batches/<batch_id>/picture.svg": READERS,
    "GET /batches/<batch_id>/act/<action>": OPERATORS,
    "GET /batches/<batch_id>/act/<action>/effect": OPERATORS,
    "POST /batches/<batch_id>/act": OPERATORS,
    "GET /batches/<batch_id>/waiting/<request_id>": READERS,
    "GET /batches/<batch_id>/files": OPERATORS,
    "POST /batches/<batch_id>/files": OPERATORS,
    "POST /batches/<batch_id>/files/known": OPERATORS,
    "GET /batches/<batch_id>/results": READERS,
    "GET /batches/<batch_id>/results/sums": READERS,
    "GET /batches/<batch_id>/results/heads": READERS,
    "GET /batches/<batch_id>/results/cell/<task_id>": READERS,
    "GET /batches/<batch_id>/results/<document_id>": READERS,
    "GET /batches/<batch_id>/results.jsonl": READERS,
    "GET /batches/<batch_id>/report.csv": READERS,
    "GET /batches/<batch_id>/tasks": READERS,
    "GET /batches/<batch_id>/tasks/<task_id>": READERS,
    "GET /batches/<batch_id>/audit": READERS,
    "GET /batches/<batch_id>/audit.jsonl": READERS,
    "GET /find": READERS,
    "GET /batches/new": OPERATORS,
    "POST /batches/new": OPERATORS,
    "POST /batches/new/look": OPERATORS,
    "POST /batches/new/lines": OPERATORS,
    "GET /live": READERS,
    "GET /live/<batch_id>": READERS,
    "GET /machine": READERS,
    "GET /machine.svg": READERS,
    "GET /requests": READERS,
    "GET /workers": READERS,
    "GET /activity": READERS,
    "GET /tokens": ADMINS,
    "POST /tokens": ADMINS,
    "POST /tokens/<token_id>/revoke": ADMINS,
    "GET /webhooks": ADMINS,
    "POST /webhooks": ADMINS,
    "GET /webhooks/<webhook_id>": ADMINS,
    "POST /webhooks/<webhook_id>": ADMINS,
    "GET /sign-in": EVERYONE,
    "POST /sign-in": EVERYONE,
    "POST /sign-out": EVERYONE,
}
BELOW = {OPERATORS: "viewer", ADMINS: "operator"}
_PARAMETER = re.compile(r"<[^:>]+:")  # the kind of a parameter in an address
PROBES = {"GET /healthz", "GET /readyz", "GET /metrics"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    url = f"sqlite:///{tmp_path_factory.mktemp('site') / 'site.db'}"
    migrate(url)
    return create_app(Config(database_url=url, admin_token="a"))


@pytest.fixture(scope="module")
def client(site: Flask) -> ApiClient:
    """A client of the site with a token of each role."""
    tokens = site.extensions["interlock"].tokens
    made = {role: tokens.create(role, role)["token"] for role in ("viewer", "operator")}
    return api_client(site, {"admin": "a", **made})


def blueprints() -> Iterator[tuple[str, Blueprint]]:
    """Find the blueprint of every module of the edges."""
    for edge in (api, ui, v1):
        for module in pkgutil.walk_packages(edge.__path__, f"{edge.__name__}."):
            routes = getattr(importlib.import_module(module.name), "routes", None)
            if isinstance(routes, Blueprint):
                yield module.name, routes


def addresses(site: Flask) -> set[str]:
    """The method and address of each route that is no call of the API."""
    return {
        f"{method} {_PARAMETER.sub('<', rule.rule)}"
        for rule in site.url_map.iter_rules()
        if not rule.rule.startswith(("/api", "/v1", "/static/"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_module_with_routes_is_registered(site: Flask) -> None:
    registered = set(site.blueprints.values())
    found = dict(blueprints())
    assert len(found) > 15
    assert [name for name, routes in found.items() if routes not in registered] == []


def test_every_page_is_in_this_table(site: Flask) -> None:
    """Contract 5, Pages: who may open which."""
    assert addresses(site) - PROBES == set(PAGES)


@pytest.mark.parametrize("address", [address for address, role in PAGES.items() if role])
def test_who_may_not_open_a_page(site: Flask, client: ApiClient, address: str) -> None:
    """Contract 5: a visitor who has not signed in is sent to do so or refused; a role below the page's is refused."""
    method, path = address.split(" ")
    for name in ("batch_id", "document_id", "task_id", "token_id", "webhook_id"):
        path = path.replace(f"<{name}>", UNKNOWN)
    path = path.replace("<action>", "pause").replace("<request_id>", "none")
    with site.test_client().open(path, method=method, headers={"Accept": "text/html"}) as answer:
        assert answer.status_code == (303 if method == "GET" else 401)
    if below := BELOW.get(PAGES[address]):
        with visitor(site, client.tokens, below).open(path, method=method) as answer:
            assert answer.status_code == 403
