"""GET /api/batches, and the paging that all lists share."""

import pytest

from tests.api.lives import act, answered, bring, create, refused, show
from tests.support.client import ApiClient


def names(client: ApiClient, query: str = "") -> list[str]:
    return [batch["name"] for batch in answered(client.get(f"/api/batches{query}"))["batches"]]


def test_newest_first(viewer: ApiClient, operator: ApiClient) -> None:
    """Contract 5: batches are listed newest first, each whole; the last page has no cursor."""
    made = [create(operator, name=f"b{number}") for number in range(3)]
    body = answered(viewer.get("/api/batches"))
    assert body == {"batches": [*reversed(made)], "next_cursor": None}


def test_an_empty_list(viewer: ApiClient) -> None:
    """Contract 5: `{"batches": [...], "next_cursor": null}`."""
    assert answered(viewer.get("/api/batches")) == {"batches": [], "next_cursor": None}


def test_by_state(client: ApiClient) -> None:
    """Contract 5: `?state=`."""
    states = ("SAVED", "STAGED", "PAUSED", "SAVED")
    for number, state in enumerate(states):
        bring(client, state, documents=1, name=f"b{number}")
    assert names(client, "?state=SAVED") == ["b3", "b0"]
    assert names(client, "?state=PAUSED") == ["b2"]
    assert names(client, "?state=FAILED") == []


def test_by_name(client: ApiClient) -> None:
    """Contract 5: `?name=` finds a part of the name, in any case; both filters hold together."""
    for name in ("Contracts, Q3", "contracts, Q4", "100% done", "100 done"):
        create(client, name=name)
    assert names(client, "?name=contracts") == ["contracts, Q4", "Contracts, Q3"]
    assert names(client, "?name=Q3") == ["Contracts, Q3"]
    assert names(client, "?name=100%25") == ["100% done"]
    assert names(client, "?name=contracts&state=STAGED") == []


def test_the_list_shows_what_the_batch_shows(same_client: ApiClient) -> None:
    """Contract 5: progress and allowed actions are the same in the list and alone."""
    for state in ("STAGING", "ANALYZING", "COMPLETED", "FAILED"):
        bring(same_client, state)
    for batch in answered(same_client.get("/api/batches"))["batches"]:
        assert batch == show(same_client, batch["id"])


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
def test_all_pages_together_have_each_batch_once(client: ApiClient, limit: int) -> None:
    """Contract 5: `next_cursor` leads on until it is null; each batch comes once."""
    for number in range(7):
        create(client, documents=0, name=f"b{number}")
    seen, cursor, pages = [], "", 0
    while True:
        body = answered(client.get(f"/api/batches?limit={limit}{cursor}"))
        assert len(body["batches"]) <= limit
        seen += [batch["name"] for batch in body["batches"]]
        pages += 1
        if body["next_cursor"] is None:
            break
        assert isinstance(body["next_cursor"], str)
        cursor = f"&cursor={body['next_cursor']}"
    assert seen == [f"b{number}" for number in reversed(range(7))]
    assert pages == -(-7 // limit)


def test_new_batches_do_not_disturb_the_pages(client: ApiClient) -> None:
    """Contract 5: cursor pagination: a batch created meanwhile shifts nothing."""
    for number in range(4):
        create(client, documents=0, name=f"b{number}")
    first = answered(client.get("/api/batches?limit=2"))
    create(client, documents=0, name="new")
    assert names(client, f"?limit=2&cursor={first['next_cursor']}") == ["b1", "b0"]


def test_fifty_by_default(client: ApiClient) -> None:
    """Contract 5: `?limit=` is 50 by default, 200 at most."""
    for number in range(51):
        create(client, documents=0, name=f"b{number}")
    body = answered(client.get("/api/batches"))
    assert len(body["batches"]) == 50
    assert names(client, f"?cursor={body['next_cursor']}") == ["b0"]
    assert len(names(client, "?limit=200")) == 51


def test_archived_ones_are_not_listed(client: ApiClient) -> None:
    """Contract 5: an archived batch is gone."""
    gone = create(client, name="gone")
    create(client, name="here")
    assert client.delete(f"/api/batches/{gone['id']}").status_code == 204
    assert names(client) == ["here"]


@pytest.mark.parametrize("query", ["?state=saved", "?state=", "?state=DONE", "?name=", "?name=" + "x" * 201])
def test_422_an_invalid_filter(same_client: ApiClient, query: str) -> None:
    """Contract 5: a bad query is 422."""
    refused(same_client.get(f"/api/batches{query}"), 422)


def test_every_list_of_a_batch_is_paged_alike(same_client: ApiClient) -> None:
    """Contract 5: lists have cursor pagination: audit rows and tasks come in order, each once."""
    batch = bring(same_client, "COMPLETED", documents=3)
    act(same_client, batch["id"], "restage")
    for noun, key in (("audit", "version"), ("tasks", "id")):
        path = f"/api/batches/{batch['id']}/{noun}"
        whole = answered(same_client.get(path))[noun]
        assert len(whole) > 2
        seen, cursor = [], ""
        while cursor is not None:
            body = answered(same_client.get(f"{path}?limit=2{cursor}"))
            seen += body[noun]
            cursor = f"&cursor={body['next_cursor']}" if body["next_cursor"] else None
        assert seen == whole
        assert len({row[key] for row in seen}) == len(seen)
