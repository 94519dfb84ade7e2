"""POST /api/batches/<id>/action: every row of the outcome table, and what comes before which."""

import json
from typing import Any

import pytest

from app.domain.transitions import ACTIONS, BY_TRIGGER, EVENTS, BatchState
from tests.api.calls import UNKNOWN
from tests.api.lives import act, answered, ask, audit, bring, complete, create, finish_all, lease, refused, show
from tests.support.client import ApiClient

PROBLEM_MEMBERS = {"success", "reason", "current_state", "version", "allowed_actions"}


class TestDone:
    """200 with ETag: the change, and the batch as it is afterwards."""

    @pytest.mark.parametrize(
        ("action", "before", "after"),
        [
            ("stage", "SAVED", "STAGING"),
            ("run", "STAGED", "ANALYZING"),
            ("pause", "ANALYZING", "PAUSED"),
            ("resume", "PAUSED", "ANALYZING"),
            ("cancel", "ANALYZING", "FAILED"),
            ("cancel", "PAUSED", "FAILED"),
            ("restage", "COMPLETED", "STAGING"),
            ("restage", "FAILED", "STAGING"),
            ("reset", "SAVED", "SAVED"),
            ("reset", "COMPLETED", "SAVED"),
            ("reset", "FAILED", "SAVED"),
        ],
    )
    def test_every_action_from_every_state_it_has(
        self, same_client: ApiClient, action: str, before: str, after: str
    ) -> None:
        """Contract 5, done: 200, `ETag`, and the six fields; contract 4: exactly one version and one audit row."""
        operator = same_client.acting_as("operator")
        batch = bring(operator.acting_as("admin"), before)
        context = {"reason": "asked by a test", "ticket": 7}
        answer = ask(operator, batch["id"], action, context=context)
        body = answered(answer)
        now = show(operator, batch["id"])
        assert body == {
            "success": True,
            "batch_id": batch["id"],
            "action": action,
            "previous_state": before,
            "new_state": after,
            "version": batch["version"] + 1,
            "batch": now,
        }
        assert answer.headers["ETag"] == f'"{now["version"]}"'
        row = audit(operator, batch["id"])[-1]
        row.pop("at")
        assert row == {
            "version": batch["version"] + 1,
            "trigger": action,
            "kind": "action",
            "from_state": before,
            "to_state": after,
            "actor": "a operator",
            "role": "operator",
            "reason": "asked by a test",
            "context": context,
            "request_id": answer.headers["X-Request-Id"],
        }

    def test_without_a_context(self, same_client: ApiClient) -> None:
        """Contract 5: `context` is optional."""
        batch = create(same_client)
        answered(ask(same_client, batch["id"], "stage"))
        row = audit(same_client, batch["id"])[-1]
        assert (row["reason"], row["context"]) == (None, {})

    def test_resume_of_finished_work(self, same_client: ApiClient) -> None:
        """Contract 2 and 5: a batch that finished while PAUSED resumes in two changes, two audit rows."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        act(same_client, batch["id"], "pause")
        assert complete(same_client, task).json["batch_state"] == "PAUSED"
        paused = show(same_client, batch["id"])
        answer = ask(same_client, batch["id"], "resume")
        body = answered(answer)
        assert (body["previous_state"], body["new_state"], body["version"]) == (
            "PAUSED",
            "ANALYZING",
            paused["version"] + 1,
        )
        assert (body["batch"]["state"], body["batch"]["version"]) == ("COMPLETED", paused["version"] + 2)
        assert answer.headers["ETag"] == f'"{paused["version"] + 2}"'
        assert [(r["trigger"], r["kind"], r["to_state"]) for r in audit(same_client, batch["id"])[-2:]] == [
            ("resume", "action", "ANALYZING"),
            ("tasks_finished", "event", "COMPLETED"),
        ]

    def test_resume_of_work_that_all_failed(self, same_client: ApiClient) -> None:
        """Contract 2: `resume` makes it ANALYZING and at once FAILED: `all_tasks_failed` in place of COMPLETED."""
        batch = bring(same_client, "ANALYZING", documents=1, options={"max_attempts": 1})
        task = lease(same_client, batch["id"])[0]
        act(same_client, batch["id"], "pause")
        body = {"lease_token": task["lease_token"], "error": {"code": "c", "message": "m"}}
        assert same_client.post(f"/api/tasks/{task['id']}/fail", json=body).json["status"] == "FAILED"
        after = answered(ask(same_client, batch["id"], "resume"))
        assert (after["new_state"], after["batch"]["state"]) == ("ANALYZING", "FAILED")
        assert after["batch"]["failure"]["code"] == "all_tasks_failed"

    def test_a_whole_second_run_keeps_the_first_ones_results(self, same_client: ApiClient) -> None:
        """Contract 2: tasks and results belong to a run; earlier ones stay readable."""
        batch = bring(same_client, "COMPLETED", documents=1)
        act(same_client, batch["id"], "restage")
        finish_all(same_client, batch["id"])
        act(same_client, batch["id"], "run")
        for run in (1, 2):
            tasks = answered(same_client.get(f"/api/batches/{batch['id']}/tasks?run={run}"))["tasks"]
            assert {task["run"] for task in tasks} == {run}
            assert len(tasks) == 2
        assert len(same_client.get(f"/api/batches/{batch['id']}/results?run=1").text.splitlines()) == 1


class TestRefused:
    """409: the table or a guard says no, with the reason and what is possible."""

    @pytest.mark.parametrize("state", list(BatchState))
    def test_every_action_that_the_table_does_not_have(self, same_client: ApiClient, state: str) -> None:
        """Contract 5, refused by the table: 409 with the five facts; nothing changes."""
        batch = bring(same_client, state)
        for action in ACTIONS:
            if state in BY_TRIGGER[action].sources:
                continue
            body = refused(ask(same_client, batch["id"], action), 409)
            assert body.keys() >= PROBLEM_MEMBERS
            assert body["success"] is False
            assert (body["current_state"], body["version"]) == (state, batch["version"])
            assert body["allowed_actions"] == batch["allowed_actions"]
            assert state in body["reason"]
            assert action in body["reason"]
        assert show(same_client, batch["id"]) == batch

    def test_stage_without_work(self, same_client: ApiClient) -> None:
        """Contract 2, guard of `stage`: the batch has work."""
        batch = answered(same_client.post("/api/batches", json={"name": "empty"}), 201)
        body = refused(ask(same_client, batch["id"], "stage"), 409)
        assert body["allowed_actions"] == ["reset"]
        assert "documents" in body["reason"]
        assert show(same_client, batch["id"])["version"] == 1

    def test_pause_without_active_tasks(self, same_client: ApiClient) -> None:
        """Contract 2, guard of `pause`: the batch has active tasks; a COMPLETED one has none and is not ANALYZING."""
        batch = bring(same_client, "COMPLETED")
        refused(ask(same_client, batch["id"], "pause"), 409)

    def test_allowed_actions_are_what_is_then_allowed(self, same_client: ApiClient) -> None:
        """Contract 5: `allowed_actions` and `/actions` take the guards into account."""
        for state in BatchState:
            batch = bring(same_client, state)
            judged = answered(same_client.get(f"/api/batches/{batch['id']}/actions"))["actions"]
            assert [each["action"] for each in judged] == list(ACTIONS)
            assert [each["action"] for each in judged if each["allowed"]] == batch["allowed_actions"]
            for each in judged:
                assert (each["reason"] is None) == each["allowed"]
                dry = ask(same_client, batch["id"], each["action"], dry_run=True)
                assert dry.status_code == (200 if each["allowed"] else 409)
                if not each["allowed"]:
                    assert dry.json["reason"] == each["reason"]


class TestIfMatch:
    """Contract 4: a caller may send If-Match; it is judged before the table."""

    @pytest.mark.parametrize("header", ['"1"', "*", ' "1" ', " * "])
    def test_matches(self, same_client: ApiClient, header: str) -> None:
        """Contract 4: the ETag that GET gives matches, `*` matches any."""
        batch = create(same_client)
        path = f"/api/batches/{batch['id']}/action"
        assert same_client.post(path, json={"action": "stage"}, headers={"If-Match": header}).status_code == 200

    def test_what_get_gives(self, same_client: ApiClient) -> None:
        """Contract 4: `If-Match: "<version>"` is the ETag that GET gives; the action's own ETag serves the next."""
        batch = bring(same_client, "STAGED")
        path = f"/api/batches/{batch['id']}"
        etag = same_client.get(path).headers["ETag"]
        for action in ("run", "pause", "resume", "cancel", "restage"):
            answer = same_client.post(f"{path}/action", json={"action": action}, headers={"If-Match": etag})
            assert answer.status_code == 200, action
            etag = answer.headers["ETag"]

    @pytest.mark.parametrize("action", ["stage", "pause"])
    def test_412_before_the_table_is_read(self, same_client: ApiClient, action: str) -> None:
        """Contract 5: 412 has the same body as 409; it comes first, allowed or not, and changes nothing."""
        batch = create(same_client)
        path = f"/api/batches/{batch['id']}/action"
        answer = same_client.post(path, json={"action": action}, headers={"If-Match": '"2"'})
        body = refused(answer, 412)
        assert body.keys() >= PROBLEM_MEMBERS
        assert (body["success"], body["current_state"], body["version"]) == (False, "SAVED", 1)
        assert body["allowed_actions"] == batch["allowed_actions"]
        assert show(same_client, batch["id"]) == batch

    @pytest.mark.parametrize(
        "header", ["1", "", '""', '"x"', 'W/"1"', '"1", "2"', '"-1"', '"1', "'1'", '"1.0"', '"²"', '"' + "9" * 30 + '"']
    )
    def test_422_malformed(self, same_client: ApiClient, header: str) -> None:
        """Contract 4: a malformed If-Match is 422 and changes nothing."""
        batch = create(same_client)
        path = f"/api/batches/{batch['id']}/action"
        answer = same_client.post(path, json={"action": "stage"}, headers={"If-Match": header})
        if header.strip('"') == "9" * 30 and answer.status_code == 412:
            return  # a version that no batch reaches, but a version
        assert "If-Match" in refused(answer, 422)["errors"]
        assert show(same_client, batch["id"]) == batch


class TestInvalid:
    """422: unknown action or an event's name, bad body or context."""

    @pytest.mark.parametrize("action", ["start", "", "PAUSE", "pause ", "a\0b", "x" * 10_000, "\U0001f600"])
    def test_an_unknown_action_lists_the_valid_ones(self, same_client: ApiClient, action: str) -> None:
        """Contract 5: an unknown action is 422 naming the field, and lists `valid_actions`."""
        batch = create(same_client)
        body = refused(ask(same_client, batch["id"], action), 422)
        assert body["valid_actions"] == list(ACTIONS)
        assert "action" in body["errors"]
        assert show(same_client, batch["id"]) == batch

    @pytest.mark.parametrize("event", [*EVENTS, "create", "rename", "archive", "add_documents", "replace_document"])
    def test_an_events_name_is_refused(self, same_client: ApiClient, event: str) -> None:
        """Contract 2: an event is raised by BatchService itself; sent to the action endpoint it is refused."""
        batch = bring(same_client, "ANALYZING")
        body = refused(ask(same_client, batch["id"], event), 422)
        assert body["valid_actions"] == list(ACTIONS)
        assert show(same_client, batch["id"]) == batch

    @pytest.mark.parametrize("key", ["actor", "role", "request_id", "if_version", "dry_run"])
    def test_a_caller_may_not_say_what_the_edges_know(self, same_client: ApiClient, key: str) -> None:
        """Contract 3: a caller over HTTP may not name those five keys of the context."""
        batch = create(same_client)
        body = refused(ask(same_client, batch["id"], "stage", context={"reason": "x", key: None}), 422)
        assert key in str(body["errors"]["context"])
        assert show(same_client, batch["id"]) == batch

    @pytest.mark.parametrize("context", [None, [], "x", 1, True])
    def test_a_context_is_an_object(self, same_client: ApiClient, context: Any) -> None:
        """Contract 5: context is an object of at most 8 KiB."""
        batch = create(same_client)
        assert "context" in refused(ask(same_client, batch["id"], "stage", context=context), 422)["errors"]

    def test_a_context_of_8_kib_and_not_a_byte_more(self, same_client: ApiClient) -> None:
        """Contract 5: context is an object of at most 8 KiB, counted in bytes of UTF-8."""
        room = 8 * 1024 - len(b'{"x":""}')
        batch = create(same_client)
        for text in ("x" * (room + 1), "\u00e9" * (room // 2 + 1), "\U0001f600" * (room // 4 + 1)):
            assert "context" in refused(ask(same_client, batch["id"], "stage", context={"x": text}), 422)["errors"]
        assert ask(same_client, batch["id"], "stage", context={"x": "x" * room}).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"action": None},
            {"action": 1},
            {"action": ["stage"]},
            {"action": "stage", "dry_run": 1},
            {"action": "stage", "dry_run": "true"},
            {"action": "stage", "dry_run": None},
            {"action": "stage", "reason": "beside the context"},
            {"action": "stage", "if_version": 1},
        ],
        ids=range(9),
    )
    def test_a_bad_body(self, same_client: ApiClient, body: dict[str, Any]) -> None:
        """Contract 5: bad body is a problem naming the field."""
        batch = create(same_client)
        answer = refused(same_client.post(f"/api/batches/{batch['id']}/action", json=body), 422)
        wrong = next((key for key in body if key != "action"), "action")
        assert wrong in answer["errors"]
        assert show(same_client, batch["id"]) == batch


def test_no_such_batch(same_client: ApiClient) -> None:
    """Contract 5: no such batch is 404, rehearsed or not."""
    refused(ask(same_client, UNKNOWN, "stage"), 404)
    refused(ask(same_client, UNKNOWN, "stage", dry_run=True), 404)


def test_the_body_is_what_the_sender_wrote(same_client: ApiClient) -> None:
    """Contract 5: JSON in UTF-8, with a charset in its type or a vendor's type that ends in +json."""
    for content_type in ("application/json; charset=utf-8", "application/vnd.example+json"):
        batch = create(same_client)
        data = json.dumps({"action": "stage", "context": {"reason": "gr\u00fc\u00dfe"}}, ensure_ascii=False).encode()
        path = f"/api/batches/{batch['id']}/action"
        assert same_client.post(path, data=data, content_type=content_type).status_code == 200
        assert audit(same_client, batch["id"])[-1]["reason"] == "gr\u00fc\u00dfe"
