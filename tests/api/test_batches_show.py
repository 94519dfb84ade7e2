"""GET, PATCH and DELETE /api/batches/<id>, and /audit."""

from datetime import datetime
from typing import Any

import pytest

from app.api.schemas.views import schema_of
from app.domain.transitions import BatchState
from app.services.batch.batch_view import BatchView
from tests.api.lives import act, answered, as_everywhere, ask, audit, bring, complete, create, lease, refused, show
from tests.support.client import ApiClient
from tests.support.row_locks import HoldRow


def test_shown_with_its_etag(same_client: ApiClient) -> None:
    """Contract 5: 200 and `ETag: "<version>"`."""
    batch = bring(same_client, "PAUSED")
    answer = same_client.get(f"/api/batches/{batch['id']}")
    assert as_everywhere(answered(answer)) == batch
    assert answer.headers["ETag"] == f'"{batch["version"]}"'


@pytest.mark.parametrize("state", BatchState)
def test_the_document_describes_a_batch_as_it_is_served(same_client: ApiClient, state: BatchState) -> None:
    """Contract 5: each field that is promised is there, in its type; and no field is there that is not described."""
    schema = schema_of(BatchView)
    batch = show(same_client, bring(same_client, state)["id"])
    assert schema(unknown="raise").validate(batch) == {}
    for name in ("progress", "usage", "input", "options"):
        assert set(batch[name]) <= set(BatchView.__annotations__[name].__annotations__)


def test_a_field_of_the_wrong_type_is_seen(same_client: ApiClient) -> None:
    batch = show(same_client, bring(same_client, "SAVED")["id"])
    schema = schema_of(BatchView)(unknown="raise")
    without_name = {name: value for name, value in batch.items() if name != "name"}
    assert set(schema.validate(without_name)) == {"name"}
    for wrong in ({"version": "x"}, {"staged_at": 1}, {"options": {**batch["options"], "max_tokens": "x"}}, {"new": 1}):
        assert set(schema.validate({**batch, **wrong})) == set(wrong)


def test_progress_is_the_present_runs_tasks_as_they_stand(same_client: ApiClient) -> None:
    """Contract 5: `progress` counts staging and analysis, leases included."""
    batch = bring(same_client, "STAGING", documents=2)
    first, second = lease(same_client, batch["id"])
    complete(same_client, first)
    assert show(same_client, batch["id"])["progress"] == {
        "staging": {"total": 2, "completed": 1, "failed": 0, "skipped": 0},
        "analysis": {"total": 1, "queued": 1, "leased": 0, "completed": 0, "failed": 0},
    }
    complete(same_client, second)
    act(same_client, batch["id"], "run")
    lease(same_client, batch["id"], most=1)
    assert show(same_client, batch["id"])["progress"]["analysis"] == {
        "total": 2,
        "queued": 1,
        "leased": 1,
        "completed": 0,
        "failed": 0,
    }


def test_times_come_as_a_life_goes_on(same_client: ApiClient) -> None:
    """Contract 5 and 2: times are RFC 3339 UTC; a new run clears them."""
    batch = bring(same_client, "COMPLETED")
    times = [batch[f"{name}_at"] for name in ("created", "staged", "started", "finished", "updated")]
    assert all(time.endswith("Z") for time in times)
    assert sorted(times, key=datetime.fromisoformat) == times
    again = act(same_client, batch["id"], "restage")
    assert [again["staged_at"], again["started_at"], again["finished_at"]] == [None, None, None]
    assert again["run"] == 2


def test_a_failure_names_its_code(same_client: ApiClient) -> None:
    """Contract 5: `failure` is null or `{"code","message","task_id"}`."""
    batch = bring(same_client, "ANALYZING")
    failed = answered(ask(same_client, batch["id"], "cancel", context={"reason": "wrong model"}))["batch"]
    assert failed["failure"] == {"code": "cancelled", "message": "wrong model", "task_id": None}
    assert act(same_client, batch["id"], "restage")["failure"] is None


class TestRename:
    """PATCH /api/batches/<id> changes a batch's name and description."""

    @pytest.mark.parametrize("state", list(BatchState))
    def test_in_every_state(self, same_client: ApiClient, state: str) -> None:
        """Contract 4: an edit adds 1 to the version and one audit row of two equal states."""
        batch = bring(same_client, state)
        operator = same_client.acting_as("operator")
        answer = operator.patch(f"/api/batches/{batch['id']}", json={"name": "new", "description": "why"})
        body = answered(answer)
        assert (body["name"], body["description"], body["version"]) == ("new", "why", batch["version"] + 1)
        assert answer.headers["ETag"] == f'"{body["version"]}"'
        row = audit(same_client, batch["id"])[-1]
        assert (row["trigger"], row["kind"], row["from_state"], row["to_state"]) == ("rename", "edit", state, state)
        assert row["actor"] == "a operator"

    def test_one_of_both(self, same_client: ApiClient) -> None:
        """PATCH leaves alone what it does not name; a description can be taken away."""
        batch = create(same_client, description="why")
        path = f"/api/batches/{batch['id']}"
        assert answered(same_client.patch(path, json={"name": "new"}))["description"] == "why"
        assert answered(same_client.patch(path, json={"description": None}))["name"] == "new"

    @pytest.mark.parametrize("body", [{}, {"name": None}, {"name": ""}, {"state": "FAILED"}, {"version": 9}])
    def test_422_anything_else(self, same_client: ApiClient, body: dict[str, Any]) -> None:
        """Contract 5: unknown fields are refused; nobody writes a state."""
        batch = create(same_client)
        refused(same_client.patch(f"/api/batches/{batch['id']}", json=body), 422)
        assert show(same_client, batch["id"]) == batch

    def test_412_another_version(self, same_client: ApiClient) -> None:
        """Contract 4: If-Match that does not match is 412 and changes nothing."""
        batch = create(same_client)
        path = f"/api/batches/{batch['id']}"
        assert same_client.patch(path, json={"name": "1"}, headers={"If-Match": '"1"'}).status_code == 200
        refused(same_client.patch(path, json={"name": "2"}, headers={"If-Match": '"1"'}), 412)
        assert (show(same_client, batch["id"])["name"], show(same_client, batch["id"])["version"]) == ("1", 2)


class TestDelete:
    """DELETE /api/batches/<id> archives."""

    @pytest.mark.parametrize("state", ["SAVED", "COMPLETED", "FAILED"])
    def test_archived(self, same_client: ApiClient, state: str) -> None:
        """Contract 5: 204 in SAVED, COMPLETED or FAILED; GET is 404, its `/audit` stays."""
        batch = bring(same_client, state)
        path = f"/api/batches/{batch['id']}"
        answer = same_client.delete(path)
        assert (answer.status_code, answer.data) == (204, b"")
        for more in ("", "/actions", "/tasks", "/results", "/requests"):
            refused(same_client.get(path + more), 404)
        refused(ask(same_client, batch["id"], "reset"), 404)
        refused(same_client.patch(path, json={"name": "x"}), 404)
        refused(same_client.delete(path), 404)
        refused(same_client.post(f"{path}/documents", json={"documents": [{"name": "a", "text": "x"}]}), 404)
        rows = audit(same_client, batch["id"])
        assert [row["version"] for row in rows] == list(range(1, batch["version"] + 2))
        assert (rows[-1]["trigger"], rows[-1]["kind"]) == ("archive", "edit")
        assert (rows[-1]["from_state"], rows[-1]["to_state"]) == (state, state)

    @pytest.mark.parametrize("state", ["STAGING", "STAGED", "ANALYZING", "PAUSED"])
    def test_409_while_it_works(self, same_client: ApiClient, state: str) -> None:
        """Contract 5: else 409."""
        batch = bring(same_client, state)
        refused(same_client.delete(f"/api/batches/{batch['id']}"), 409)
        assert show(same_client, batch["id"]) == batch

    def test_412_another_version(self, same_client: ApiClient) -> None:
        """Contract 4: If-Match that does not match is 412 and changes nothing; it comes before the table."""
        batch = bring(same_client, "ANALYZING")
        refused(same_client.delete(f"/api/batches/{batch['id']}", headers={"If-Match": '"1"'}), 412)
        assert show(same_client, batch["id"]) == batch

    def test_a_late_report_of_an_archived_batch(self, same_client: ApiClient) -> None:
        """Contract 5: a report that does not count is 409 and changes neither task nor batch."""
        batch = bring(same_client, "ANALYZING")
        task = lease(same_client, batch["id"])[0]
        act(same_client, batch["id"], "cancel")
        assert same_client.delete(f"/api/batches/{batch['id']}").status_code == 204
        refused(complete(same_client, task), 409)

    def test_an_archived_batch_leases_nothing(self, client: ApiClient) -> None:
        """Contract 5: only tasks of a STAGING or ANALYZING batch are leased."""
        batch = bring(client, "FAILED")
        client.delete(f"/api/batches/{batch['id']}")
        assert lease(client) == []
        assert lease(client, batch["id"]) == []


class TestAudit:
    def test_a_whole_life(self, same_client: ApiClient) -> None:
        """Contract 4: versions 1..N without a gap, each row's `from_state` is its predecessor's `to_state`."""
        batch = bring(same_client, "COMPLETED")
        rows = audit(same_client, batch["id"])
        assert [(row["version"], row["trigger"], row["kind"], row["to_state"]) for row in rows] == [
            (1, "create", "edit", "SAVED"),
            (2, "stage", "action", "STAGING"),
            (3, "staging_completed", "event", "STAGED"),
            (4, "run", "action", "ANALYZING"),
            (5, "tasks_finished", "event", "COMPLETED"),
        ]
        assert [row["from_state"] for row in rows] == [None, *(row["to_state"] for row in rows[:-1])]
        assert set(rows[0]) == {
            "version",
            "trigger",
            "kind",
            "from_state",
            "to_state",
            "actor",
            "role",
            "reason",
            "context",
            "request_id",
            "at",
        }

    def test_an_event_is_the_services_own(self, same_client: ApiClient) -> None:
        """Contract 2: an event is raised by BatchService itself."""
        batch = bring(same_client, "STAGED")
        row = audit(same_client, batch["id"])[-1]
        assert (row["kind"], row["actor"], row["role"]) == ("event", "system", "system")


class TestLockedFromOutside:
    """PostgreSQL alone: SQLite has no row locks."""

    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url

    def test_edits_and_delete_are_503_and_reads_go_on(self, client: ApiClient, hold_row: HoldRow) -> None:
        """Contract 4: edits and DELETE answer 503 with `Retry-After`; reads, and leases of others, never wait."""
        batch = create(client)
        other = bring(client, "ANALYZING")
        path = f"/api/batches/{batch['id']}"
        with hold_row(batch["id"]):
            documents = {"documents": [{"name": "a", "text": "x"}]}
            answers = [
                client.patch(path, json={"name": "new"}),
                client.delete(path),
                client.post(f"{path}/documents", json=documents),
            ]
            for answer in answers:
                refused(answer, 503)
                assert int(answer.headers["Retry-After"]) >= 1
            for more in ("", "/actions", "/audit", "/tasks", "/results", "/requests"):
                assert client.get(path + more).status_code == 200
            assert client.get("/api/batches").status_code == 200
            assert len(lease(client)) == 2
            assert create(client)["state"] == "SAVED"
        assert show(client, batch["id"]) == batch
        assert show(client, other["id"])["progress"]["analysis"]["leased"] == 2
