"""GET /api/events: changes as server-sent events."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.api import events
from app.services import Services
from app.services.reads import audit
from app.web import streams
from tests.api.lives import act, bring, create, refused
from tests.support.client import ApiClient

Event = dict[str, Any]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)


@contextmanager
def stream(client: ApiClient, last_event_id: str | None = None) -> Iterator[Callable[[int], list[Event]]]:
    """Open a stream; yields what reads the next so many changes from it."""
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    with client.get("/api/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.content_type.startswith("text/event-stream")
        chunks = iter(answer.response)

        def read(amount: int) -> list[Event]:
            found: list[Event] = []
            while len(found) < amount:  # a stream ends by itself
                text = next(chunks)
                if b"event: change" in (text if isinstance(text, bytes) else text.encode()):
                    found.append(parsed(text if isinstance(text, str) else text.decode()))
            return found

        yield read


def parsed(text: str) -> Event:
    """Read one event of the stream."""
    assert text.endswith("\n\n")
    fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
    assert fields["event"] == "change"
    return {"id": fields["id"], **json.loads(fields["data"])}


def test_a_change_arrives(client: ApiClient) -> None:
    """Contract 5: `GET /api/events` (server-sent events): each change with its batch, version and states."""
    viewer = client.acting_as("viewer")
    with stream(viewer) as read:
        batch = create(client)
        act(client, batch["id"], "stage")
        made, staged = read(2)
    assert (made["batch_id"], made["version"], made["trigger"], made["from_state"]) == (batch["id"], 1, "create", None)
    assert (staged["version"], staged["from_state"], staged["to_state"]) == (2, "SAVED", "STAGING")
    assert (staged["kind"], staged["actor"], staged["name"]) == ("action", "a admin", "contracts")


def test_what_happened_before_is_not_sent(client: ApiClient) -> None:
    """A stream without Last-Event-ID begins now."""
    create(client)
    with stream(client) as read:
        batch = create(client)
        assert read(1)[0]["batch_id"] == batch["id"]


def test_last_event_id_resumes(client: ApiClient) -> None:
    """A stream that broke goes on where it was: nothing is lost; a change may come twice, `version` tells."""
    with stream(client) as read:
        batch = create(client)
        last = read(1)[0]
    act(client, batch["id"], "stage")
    act(client, create(client)["id"], "stage")
    with stream(client, last_event_id=last["id"]) as read:
        seen = {(each["batch_id"], each["version"]) for each in read(4)}
    assert seen == {(batch["id"], 1), (batch["id"], 2), (batch["id"] + 1, 1), (batch["id"] + 1, 2)}


def test_what_was_committed_late_is_not_lost_between_two_streams(client: ApiClient) -> None:
    """Commits are not in the order of their times: a stream that resumes looks back."""
    with stream(client) as read:
        slow, quick = create(client, name="slow"), create(client, name="quick")
        last = read(2)[-1]
    assert last["batch_id"] == quick["id"]
    with stream(client, last_event_id=last["id"]) as read:
        assert slow["id"] in [each["batch_id"] for each in read(2)]


@pytest.mark.parametrize("ident", ["", "x", "-1", "9" * 17, "9" * 40, "1.5", "\xb2", "0"])
def test_a_last_event_id_that_was_never_given_out(same_client: ApiClient, ident: str) -> None:
    """What a browser sends back is not trusted: nonsense is no fault."""
    with same_client.get("/api/events", headers={"Last-Event-ID": ident}) as answer:
        assert answer.status_code == 200
        assert b"retry:" in next(iter(answer.response))


def test_more_changes_at_once_than_a_page_holds(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst does not hold the stream up: all of it comes, in order."""
    monkeypatch.setattr(audit, "FEED_PAGE", 4)
    with stream(client) as read:
        ids = [create(client, documents=0)["id"] for _ in range(13)]
        assert [each["batch_id"] for each in read(13)] == ids


def test_each_change_comes_once_in_a_stream(client: ApiClient) -> None:
    """Looking back does not tell the same change again and again."""
    with stream(client) as read:
        batch = bring(client, "STAGED", documents=1)
        first = read(3)
        act(client, batch["id"], "run")
        assert [each["version"] for each in first + read(1)] == [1, 2, 3, 4]


def test_a_stream_ends_by_itself(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open stream must not hold a shutdown: it ends after a while, and the browser comes back."""
    monkeypatch.setattr(streams, "STREAM_SECONDS", 0.1)
    with client.get("/api/events") as answer:
        assert "still here" in answer.text


def test_a_stream_ends_when_the_service_stops(client: ApiClient, service: Services) -> None:
    """An open stream watches the stop flag."""
    service.queue.stopping.set()
    with client.get("/api/events") as answer:
        assert answer.text.startswith("retry: ")


def test_503_when_enough_streams_are_open(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every open stream keeps a thread: one too many is refused with 503; a place is given back."""
    monkeypatch.setattr(streams, "_places", streams.Places(1))
    with stream(client):
        answer = client.get("/api/events")
        refused(answer, 503)
        assert int(answer.headers["Retry-After"]) >= 1
    with stream(client) as read:
        create(client)
        read(1)
