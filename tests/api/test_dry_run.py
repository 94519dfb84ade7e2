"""POST /api/batches/<id>/action with `"dry_run": true`."""

import pytest

from tests.api.lives import act, answered, ask, audit, bring, complete, create, lease, refused, show
from tests.support.client import ApiClient

PROBLEM_MEMBERS = {"success", "reason", "current_state", "version", "allowed_actions"}


class TestDryRun:
    """Contract 5: `"dry_run": true` decides and changes nothing."""

    @pytest.mark.parametrize(
        ("state", "action", "new_state"),
        [("SAVED", "stage", "STAGING"), ("STAGED", "run", "ANALYZING"), ("COMPLETED", "restage", "STAGING")],
    )
    def test_decides_and_changes_nothing(self, same_client: ApiClient, state: str, action: str, new_state: str) -> None:
        """Contract 5: the answer adds `"dry_run": true` and `effect`; state, version and audit stay."""
        batch = bring(same_client, state)
        rows = audit(same_client, batch["id"])
        body = answered(ask(same_client, batch["id"], action, dry_run=True))
        assert (body["success"], body["dry_run"]) == (True, True)
        assert (body["previous_state"], body["new_state"]) == (state, new_state)
        forecast = {"calls", "cost", "cost_range"} if new_state == "STAGING" else set()
        assert set(body["effect"]) == {"tasks_stopped", "leases_in_flight", "results_kept"} | forecast
        assert show(same_client, batch["id"]) == batch
        assert audit(same_client, batch["id"]) == rows

    def test_the_effect_in_numbers(self, same_client: ApiClient) -> None:
        """Contract 5: what `pause` and `cancel` would stop, leave in flight and keep."""
        batch = bring(same_client, "ANALYZING", documents=6)
        tasks = lease(same_client, batch["id"], most=3)
        complete(same_client, tasks[0])
        expected = {"tasks_stopped": 3, "leases_in_flight": 2, "results_kept": 1}
        for action in ("pause", "cancel"):
            assert answered(ask(same_client, batch["id"], action, dry_run=True))["effect"] == expected
        act(same_client, batch["id"], "pause")
        resumed = answered(ask(same_client, batch["id"], "resume", dry_run=True))
        assert resumed["effect"] == {"tasks_stopped": 0, "leases_in_flight": 2, "results_kept": 1}

    def test_a_refusal_is_rehearsed_too(self, same_client: ApiClient) -> None:
        """Contract 5: what would be refused is refused: 409, 412, 422."""
        batch = create(same_client)
        body = refused(ask(same_client, batch["id"], "pause", dry_run=True), 409)
        assert (body["current_state"], body["version"]) == ("SAVED", 1)
        path = f"/api/batches/{batch['id']}/action"
        rehearsed = {"action": "stage", "dry_run": True}
        refused(same_client.post(path, json=rehearsed, headers={"If-Match": '"9"'}), 412)
        assert refused(ask(same_client, batch["id"], "start", dry_run=True), 422)["valid_actions"]
        refused(ask(same_client, batch["id"], "stage", dry_run=True, context={"actor": "me"}), 422)

    def test_false_is_as_if_it_were_not_there(self, same_client: ApiClient) -> None:
        """Contract 5: only `true` rehearses."""
        batch = create(same_client)
        body = answered(ask(same_client, batch["id"], "stage", dry_run=False))
        assert "dry_run" not in body
        assert "effect" not in body
        assert show(same_client, batch["id"])["state"] == "STAGING"
