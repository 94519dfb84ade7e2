"""Idempotency-Key on any POST: the first answer is repeated, and there is never a second effect."""

from typing import Any

import pytest
from sqlalchemy import text

from app.services import Services
from app.services.access.idempotency import claim
from tests.api.lives import LINE, answered, ask, bring, complete, create, fail, lease, refused, replayed, show
from tests.support.client import ApiClient

KEY = {"Idempotency-Key": "one"}


class TestReplay:
    """Contract 4: the same key, caller and body within 24 h gets the first answer again, status and body."""

    def test_create(self, client: ApiClient) -> None:
        """Repeated calls create one batch."""
        first = client.post("/api/batches", json={"name": "n"}, headers=KEY)
        assert first.status_code == 201
        for _ in range(2):
            replayed(client.post("/api/batches", json={"name": "n"}, headers=KEY), first)
        assert len(client.get("/api/batches").json["batches"]) == 1

    def test_create_of_lines(self, client: ApiClient) -> None:
        """A file of lines is stored once."""
        send = {"data": LINE, "content_type": "application/jsonl", "headers": KEY}
        first = client.post("/api/batches?name=n", **send)
        assert first.status_code == 201
        replayed(client.post("/api/batches?name=n", **send), first)
        refused(client.post("/api/batches?name=other", **send), 422)
        refused(client.post("/api/batches?name=n", **{**send, "data": LINE + LINE}), 422)
        assert len(client.get("/api/batches").json["batches"]) == 1

    def test_action(self, client: ApiClient) -> None:
        """The first answer is repeated although the batch has changed since."""
        batch = bring(client, "STAGED")
        path = f"/api/batches/{batch['id']}/action"
        first = client.post(path, json={"action": "run"}, headers=KEY)
        assert first.status_code == 200
        assert ask(client, batch["id"], "pause").status_code == 200
        again = client.post(path, json={"action": "run"}, headers=KEY)
        replayed(again, first)
        assert again.json["batch"]["state"] == "ANALYZING"
        assert show(client, batch["id"])["state"] == "PAUSED"

    def test_a_refusal_is_an_answer_too(self, client: ApiClient) -> None:
        """409, 412, 422 and 404 are stored like any answer: a key belongs to one call."""
        batch = create(client)
        path = f"/api/batches/{batch['id']}/action"
        for number, (address, body, more, status) in enumerate(
            [
                (path, {"action": "pause"}, {}, 409),
                (path, {"action": "stage"}, {"If-Match": '"9"'}, 412),
                (path, {"action": "start"}, {}, 422),
                ("/api/batches/999999/action", {"action": "stage"}, {}, 404),
                ("/api/tasks/999999/complete", {"lease_token": "t", "result": {}}, {}, 404),
            ]
        ):
            headers = {"Idempotency-Key": f"k{number}", **more}
            first = client.post(address, json=body, headers=headers)
            refused(first, status)
            replayed(client.post(address, json=body, headers=headers), first)
        key = {"Idempotency-Key": "k0"}
        assert ask(client, batch["id"], "stage").status_code == 200
        refused(client.post(path, json={"action": "pause"}, headers=key), 409)

    def test_documents_inline(self, client: ApiClient) -> None:
        """Documents are added once."""
        batch = create(client, documents=0)
        path = f"/api/batches/{batch['id']}/documents"
        body = {"documents": [{"name": "a", "text": "x"}]}
        first = client.post(path, json=body, headers=KEY)
        assert first.status_code == 201
        replayed(client.post(path, json=body, headers=KEY), first)
        assert show(client, batch["id"])["input"]["documents"] == 1

    def test_multipart_with_another_boundary(self, client: ApiClient) -> None:
        """The body is the files, not the boundary, which is random each time."""
        batch = create(client, documents=0)
        path = f"/api/batches/{batch['id']}/documents"

        def send(boundary: str, content: str = "x", name: str = "a.txt") -> Any:
            data = (
                f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
                f"{content}\r\n--{boundary}--\r\n"
            )
            kind = f"multipart/form-data; boundary={boundary}"
            return client.post(path, data=data.encode(), content_type=kind, headers=KEY)

        first = send("first")
        assert first.status_code == 201
        replayed(send("second"), first)
        refused(send("third", content="y"), 422)
        refused(send("fourth", name="b.txt"), 422)
        assert show(client, batch["id"])["input"]["documents"] == 1

    def test_lease(self, client: ApiClient) -> None:
        """The lost answer of a lease is repeated: the same tasks, not the next ones."""
        batch = bring(client, "ANALYZING", documents=2)
        body = {"worker": "w", "batch_id": batch["id"]}
        first = client.post("/api/tasks/lease", json=body, headers=KEY)
        assert len(first.json["tasks"]) == 1
        replayed(client.post("/api/tasks/lease", json=body, headers=KEY), first)
        assert show(client, batch["id"])["progress"]["analysis"]["leased"] == 1
        assert complete(client, first.json["tasks"][0]).status_code == 200

    def test_a_lease_that_found_nothing_first(self, client: ApiClient, service: Services) -> None:
        """A lease with a key that waits, or looks twice, answers with the tasks that it got in the end."""
        taken = bring(client, "ANALYZING", documents=1)
        assert len(lease(client)) == 1  # the queue remembers that this batch had work
        bring(client, "STAGING", documents=1, name="fresh")
        lists = service.queue._known._lists
        lists[None] = lists[None][0], float("inf")
        first = client.post("/api/tasks/lease", json={"worker": "w"}, headers=KEY)
        service.queue.forget()
        assert first.status_code == 200
        replayed(client.post("/api/tasks/lease", json={"worker": "w"}, headers=KEY), first)
        assert taken["id"] not in [task["batch_id"] for task in first.json["tasks"]]

    @pytest.mark.parametrize("how", ["complete", "fail", "report", "heartbeat", "release"])
    def test_reports(self, client: ApiClient, how: str) -> None:
        """Reports, heartbeats and releases too."""
        batch = bring(client, "ANALYZING", documents=2)
        task = lease(client, batch["id"], most=1)[0]
        ref = {"task_id": task["id"], "lease_token": task["lease_token"]}
        token = {"lease_token": task["lease_token"]}
        path, body = {
            "complete": (f"/api/tasks/{task['id']}/complete", {**token, "result": {}}),
            "fail": (f"/api/tasks/{task['id']}/fail", {**token, "error": {"code": "c", "message": "m"}}),
            "report": ("/api/tasks/report", {"reports": [{**ref, "outcome": "completed", "result": {}}]}),
            "heartbeat": ("/api/tasks/heartbeat", {"worker": "w", "lease_seconds": 60, "leases": [ref]}),
            "release": ("/api/tasks/release", {"leases": [ref]}),
        }[how]
        first = client.post(path, json=body, headers=KEY)
        assert first.status_code == 200
        replayed(client.post(path, json=body, headers=KEY), first)

    def test_a_dry_run(self, client: ApiClient) -> None:
        """The answer of a dry run is stored as well; its body differs from that of the call itself."""
        batch = create(client)
        path = f"/api/batches/{batch['id']}/action"
        first = client.post(path, json={"action": "stage", "dry_run": True}, headers=KEY)
        replayed(client.post(path, json={"action": "stage", "dry_run": True}, headers=KEY), first)
        refused(client.post(path, json={"action": "stage"}, headers=KEY), 422)
        assert show(client, batch["id"]) == batch


class TestKeys:
    """Whose key it is, which call it belongs to, and for how long."""

    def test_422_with_another_body(self, client: ApiClient) -> None:
        """Contract 4: with another body, 422; nothing is done."""
        client.post("/api/batches", json={"name": "n"}, headers=KEY)
        body = refused(client.post("/api/batches", json={"name": "other"}, headers=KEY), 422)
        assert body["code"] == "idempotency_key_reused"
        assert len(client.get("/api/batches").json["batches"]) == 1

    def test_422_with_another_call(self, client: ApiClient) -> None:
        """A key belongs to one call: another path or another If-Match is another request."""
        one, two = create(client), create(client)
        body = {"action": "stage"}
        assert client.post(f"/api/batches/{one['id']}/action", json=body, headers=KEY).status_code == 200
        refused(client.post(f"/api/batches/{two['id']}/action", json=body, headers=KEY), 422)
        matching = {**KEY, "If-Match": '"1"'}
        refused(client.post(f"/api/batches/{one['id']}/action", json=body, headers=matching), 422)
        assert show(client, two["id"])["state"] == "SAVED"

    def test_another_caller_is_separate(self, client: ApiClient) -> None:
        """Contract 4: the same key, caller and body; another caller's key is separate."""
        made = [
            caller.post("/api/batches", json={"name": "n"}, headers=KEY)
            for caller in (client, client.acting_as("operator"))
        ]
        assert [answer.status_code for answer in made] == [201, 201]
        assert made[0].json["id"] != made[1].json["id"]
        assert "Idempotency-Replayed" not in made[1].headers

    def test_a_refused_caller_claims_nothing(self, client: ApiClient) -> None:
        """403 and 401 come first, and are not stored under the key."""
        viewer = client.acting_as("viewer")
        refused(viewer.post("/api/batches", json={"name": "n"}, headers=KEY), 403)
        refused(viewer.acting_as(None).post("/api/batches", json={"name": "n"}, headers=KEY), 401)
        answered(client.post("/api/batches", json={"name": "n"}, headers=KEY), 201)

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
    def test_422_an_invalid_key(self, client: ApiClient, key: str) -> None:
        """Contract 4: up to 255 characters."""
        answer = client.post("/api/batches", json={"name": "n"}, headers={"Idempotency-Key": key})
        assert "Idempotency-Key" in refused(answer, 422)["errors"]
        assert client.get("/api/batches").json["batches"] == []

    @pytest.mark.parametrize("key", ["x" * 255, "\xe9", "a b;c\"'%00"])
    def test_any_other_key(self, client: ApiClient, key: str) -> None:
        """Contract 4: up to 255 characters of any kind."""
        headers = {"Idempotency-Key": key}
        first = client.post("/api/batches", json={"name": "n"}, headers=headers)
        assert first.status_code == 201
        replayed(client.post("/api/batches", json={"name": "n"}, headers=headers), first)

    def test_24_hours_and_no_longer(self, client: ApiClient, service: Services) -> None:
        """Contract 4: within 24 h; after that the key is free, whether or not the sweeper has deleted it."""
        first = client.post("/api/batches", json={"name": "n"}, headers=KEY)
        self._age(service, hours=23)
        replayed(client.post("/api/batches", json={"name": "n"}, headers=KEY), first)
        self._age(service, hours=2)
        again = client.post("/api/batches", json={"name": "n"}, headers=KEY)
        assert again.status_code == 201
        assert again.json["id"] != first.json["id"]

    def test_the_sweeper_deletes_old_answers(self, client: ApiClient, service: Services) -> None:
        """Contract 4: within 24 h; older answers are deleted."""
        client.post("/api/batches", json={"name": "n"}, headers=KEY)
        self._age(service, hours=25)
        client.post("/api/batches", json={"name": "n"}, headers={"Idempotency-Key": "young"})
        service.sweeper.sweep()
        with service.engine.connect() as connection:
            assert connection.execute(text("SELECT key FROM idempotency_keys")).scalars().all() == ["young"]

    @staticmethod
    def _age(service: Services, hours: int) -> None:
        postgresql = service.engine.dialect.name == "postgresql"
        older = f"claimed_at - interval '{hours} hours'"
        if not postgresql:
            older = f"strftime('%Y-%m-%d %H:%M:%f000', claimed_at, '-{hours} hours')"
        with service.engine.begin() as connection:
            connection.execute(text(f"UPDATE idempotency_keys SET claimed_at = {older}"))

    def test_other_methods_ignore_the_key(self, client: ApiClient) -> None:
        """Contract 4: on any POST; GET, PATCH and DELETE ignore it."""
        batch = create(client)
        path = f"/api/batches/{batch['id']}"
        for name in ("1", "2"):
            assert client.patch(path, json={"name": name}, headers=KEY).json["name"] == name
        assert client.delete(path, headers=KEY).status_code == 204
        refused(client.delete(path, headers=KEY), 404)


def test_a_report_repeated_without_a_key_needs_none(same_client: ApiClient) -> None:
    """Contract 5: a repeated report is recognised without a key; a key changes nothing."""
    batch = bring(same_client, "ANALYZING", documents=2)
    one, two = lease(same_client, batch["id"])
    assert complete(same_client, one).json == complete(same_client, one).json
    assert fail(same_client, two).json == fail(same_client, two).json


def test_files_are_read_whole_after_they_were_hashed(client: ApiClient, worker: ApiClient) -> None:
    """Contract 4: after a body was hashed for its key, it is read from its beginning."""
    batch = create(client, documents=0)
    content = bytes(range(256)) * 4_000
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'
    data, kind = head + content + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"
    answer = client.post(f"/api/batches/{batch['id']}/documents", data=data, content_type=kind, headers=KEY)
    assert answer.status_code == 201
    assert ask(client, batch["id"], "stage").status_code == 200
    assert worker.get(lease(worker, batch["id"])[0]["payload"]["content_url"]).data == content


def test_a_claim_is_for_one(service: Services) -> None:
    """Contract 4: of two that claim a key at once, one has it."""
    from app.errors import KeyInUse

    claim(service.engine, "c", "k", "f" * 64, "secret")
    with pytest.raises(KeyInUse):
        claim(service.engine, "c", "k", "f" * 64, "secret")
