"""Asking for an action on a page: the dialog, the answer, the stale page, the locked batch, many batches at once."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.services import Services
from tests.services import stories
from tests.support.row_locks import HoldRow
from tests.ui.visits import FRAGMENT, one, parsed, read, words


def version(service: Services, batch_id: int) -> int:
    return int(service.reads.batches.show(batch_id)["version"])


def dialog(client: FlaskClient, service: Services, batch_id: int, action: str, query: str = "") -> Any:
    path = f"/batches/{batch_id}/act/{action}?version={version(service, batch_id)}{query}"
    return read(client, path, headers=FRAGMENT)


def ask(client: FlaskClient, batch_id: int, action: str, shown: int, **fields: Any) -> Any:
    data = {"action": action, "version": shown, **fields}
    return client.post(f"/batches/{batch_id}/act", data=data, headers=FRAGMENT)


def test_the_dialog_says_what_would_happen_and_asks_for_a_reason(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=3)
    stories.complete(service, stories.lease(service, batch_id, most=2)[0])
    before = stories.snapshot(service)
    page = dialog(operator, service, batch_id, "pause")
    said = words(one(page, "//*[@id='effect']"))
    for each in (
        "ANALYZING to PAUSED",
        "1 task stopped",
        "1 call in flight: they may finish, and count",
        "1 result kept",
    ):
        assert each in said
    cancel = words(one(dialog(operator, service, batch_id, "cancel"), "//*[@id='effect']"))
    assert "1 call in flight: they will be paid for and not counted" in cancel
    assert one(page, "//input[@name='reason']").get("value") == ""
    assert one(page, "//input[@name='version']").get("value") == "4"
    assert stories.snapshot(service) == before


def test_the_curl_asks_the_same(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    path = f"/batches/{batch_id}/act/pause/effect?version=4&reason=it's+down"
    curl = one(read(operator, path), "//pre").text_content()
    for part in (
        '"Authorization: Bearer $TOKEN"',
        """-H 'If-Match: "4"'""",
        f"/api/batches/{batch_id}/action",
        """'{"action":"pause","context":{"reason":"it'"'"'s down"}}'""",
    ):
        assert part in curl


def test_an_action_is_done_as_the_visitor_with_the_reason(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    answer = ask(operator, batch_id, "pause", 4, reason="it is down")
    assert "pause is done: ANALYZING to PAUSED, version 5" in words(parsed(answer))
    assert answer.headers["HX-Trigger"] == "acted"
    row = stories.audit(service, batch_id)[-1]
    assert (row["trigger"], row["actor"], row["reason"]) == ("pause", "a operator", "it is down")
    assert row["request_id"] == answer.headers["X-Request-Id"]


def test_a_stale_page_is_shown_what_changed(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    stories.act(service, batch_id, "pause", reason="somebody else was faster")
    before = stories.snapshot(service)
    said = words(parsed(ask(operator, batch_id, "cancel", 4)))
    assert "cancel was not applied" in said
    assert "pause by an operator" in said
    assert "somebody else was faster" in said
    assert "run by" not in said, "what the page knew already is not told again"
    assert stories.snapshot(service) == before


def test_without_a_script_the_whole_page_answers(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    path = f"/batches/{batch_id}/act"
    refused = operator.post(path, data={"action": "run", "version": 4})
    assert "run needs a batch that is STAGED" in words(one(parsed(refused, 409), "//*[@id='answer']"))
    stale = operator.post(path, data={"action": "pause", "version": 2})
    assert "was not applied" in words(one(parsed(stale, 412), "//*[@id='answer']"))
    done = operator.post(path, data={"action": "pause", "version": 4})
    assert "is done" in words(one(parsed(done), "//*[@id='answer']"))


@pytest.mark.parametrize("fields", [{"version": ""}, {"version": "*"}, {"version": "9" * 30}])
def test_no_action_without_a_version(operator: FlaskClient, service: Services, fields: dict[str, Any]) -> None:
    batch_id = stories.bring(service, "ANALYZING")
    data = {"action": "pause", **fields}
    answer = operator.post(f"/batches/{batch_id}/act", data=data, headers=FRAGMENT)
    assert answer.headers["HX-Retarget"] == "#dialog-error"
    assert stories.state_of(service, batch_id) == "ANALYZING"


def test_resume_raises_the_limit_that_paused_the_run(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=3, max_cost_nanos=None, max_cost=1.0)
    task, *_ = stories.lease(service, batch_id, most=1)
    stories.complete(service, task, {"text": "x", "usage": {"cost": 2.0}})
    assert stories.state_of(service, batch_id) == "PAUSED"
    page = dialog(operator, service, batch_id, "resume")
    assert "The breaker paused this run" in words(page)
    assert "pause again at once" in words(one(page, "//*[@id='effect']"))
    assert one(page, "//input[@name='max_cost']").get("placeholder") == "1.0"
    raised = read(operator, f"/batches/{batch_id}/act/resume/effect?version={version(service, batch_id)}&max_cost=9")
    assert "pause again" not in words(raised)
    wrong = ask(operator, batch_id, "resume", version(service, batch_id), max_cost="much")
    assert "context.max_cost has to be a number" in words(parsed(wrong))
    assert wrong.headers["HX-Retarget"] == "#dialog-error"
    done = ask(operator, batch_id, "resume", version(service, batch_id), max_cost="9", no_max_tokens="on")
    assert "is done" in words(parsed(done))
    assert service.reads.batches.show(batch_id)["options"]["max_cost"] == 9
    assert stories.audit(service, batch_id)[-1]["context"] == {"max_cost": 9, "max_tokens": None}


def test_restage_chooses_what_is_asked_again(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "COMPLETED", documents=2, models=2)
    page = dialog(operator, service, batch_id, "restage")
    assert "about 0 calls to make" in words(page)
    assert page.xpath("//input[@name='models']/@value") == ["local/m0", "local/m1"]
    assert page.xpath("//input[@name='status']/@value") == ["COMPLETED", "FAILED"]
    path = f"/batches/{batch_id}/act/restage/effect?version=5"
    assert "about 4 calls" in words(read(operator, f"{path}&again=all"))
    assert "about 2 calls" in words(read(operator, f"{path}&again=some&models=local/m1"))
    assert "would be refused" in words(read(operator, f"{path}&again=some"))
    ask(operator, batch_id, "restage", 5, again="some", models="local/m1")
    assert stories.audit(service, batch_id)[-1]["context"] == {"redo": {"models": ["local/m1"]}}


def test_asking_a_cause_again_asks_exactly_its_tasks(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=1, models=3)
    done, failed, other = stories.lease(service, batch_id)
    stories.complete(service, done)
    stories.fail(service, failed, retryable=False)
    stories.fail(service, other, retryable=False, error={"code": "empty_answer", "message": "nothing"})
    page = read(operator, f"/batches/{batch_id}")
    button = one(page, "//section[@aria-labelledby='failed-title']//button[contains(@formaction, 'timeout')]")
    assert words(button) == "ask again 1"
    asked = f"{button.get('formaction')}&version=5&{button.get('name')}={button.get('value')}"
    opened = read(operator, asked, headers=FRAGMENT)
    assert one(opened, "//input[@name='reason']").get("value") == "ask again 1 × timeout"
    assert "about 1 call to make" in words(opened)
    assert f'"causes":["{button.get("value")}"]' in one(opened, "//pre").text_content()
    fields = {each.get("name"): each.get("value") for each in opened.xpath("//input[@type='hidden']")}
    assert "is done" in words(parsed(operator.post(f"/batches/{batch_id}/act", data=fields, headers=FRAGMENT)))
    stories.finish_all(service, batch_id)
    stories.act(service, batch_id, "run")
    assert len(stories.lease(service, batch_id)) == 1
    assert service.reads.batches.show(batch_id)["progress"]["analysis"]["failed"] == 1


class TestLocked:
    """PostgreSQL alone: SQLite has no row locks, so there is nothing to wait behind."""

    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url

    def test_a_request_waits_and_its_outcome_is_shown(
        self, operator: FlaskClient, service: Services, hold_row: HoldRow
    ) -> None:
        batch_id = stories.bring(service, "ANALYZING")
        with hold_row(batch_id):
            fragment = parsed(ask(operator, batch_id, "pause", 4))
            second = parsed(ask(operator, batch_id, "cancel", 4))
            assert "pause is queued at position 1" in words(fragment)
            assert "cancel is queued at position 2" in words(second)
            where, then = one(fragment, "//@hx-get"), one(second, "//@hx-get")
            again = operator.get(where)
            assert "queued at position 1" in words(parsed(again))
            assert "HX-Trigger" not in again.headers
            page = read(operator, f"/batches/{batch_id}")
            waiting = one(page, "//section[@aria-labelledby='waiting-title']")
            assert words(waiting).startswith("2 requests in the queue")
            assert [words(each) for each in waiting.xpath(".//li/strong")] == ["pause", "cancel"]
        service.sweeper.sweep()
        outcome = operator.get(where)
        assert words(parsed(outcome)) == "pause waited in the queue and is APPLIED, version 5."
        assert outcome.headers["HX-Trigger"] == "acted"
        assert "cancel waited in the queue and is REFUSED: You expected version 4" in words(read(operator, then))


class TestMany:
    def test_each_is_shown_before_and_answered_for_itself(self, operator: FlaskClient, service: Services) -> None:
        works, changed, saved = (stories.bring(service, state) for state in ("ANALYZING", "ANALYZING", "SAVED"))
        chosen = [f"{each}:{version(service, each)}" for each in (works, changed, saved)]
        stories.act(service, changed, "pause")
        page = parsed(operator.post("/batches/bulk", data={"action": "pause", "batch": chosen}))
        told = {row.xpath("string(.//small)"): words(row.xpath("./td")[-1]) for row in page.xpath("//tbody/tr")}
        assert "2 tasks stopped" in told[f"#{works}"]
        assert "version 4 then, 5 now" in told[f"#{changed}"]
        assert told[f"#{saved}"].startswith("pause needs a batch that is")
        assert page.xpath("//input[@name='batch'][@checked]/@value") == [f"{works}:4"]
        assert stories.state_of(service, works) == "ANALYZING"
        data = {"action": "pause", "batch": chosen, "reason": "night"}
        page = parsed(operator.post("/batches/bulk/apply", data=data))
        said = [words(row.xpath("./td")[1]) for row in page.xpath("//tbody/tr")]
        assert said[0] == "done: ANALYZING to PAUSED, version 5"
        assert said[1].startswith("refused: You expected version 4")
        assert said[2].startswith("refused: pause needs a batch")
        assert stories.audit(service, works)[-1]["reason"] == "night"
        assert stories.audit(service, changed)[-1]["version"] == 5

    def test_a_filter_takes_what_it_shows(self, operator: FlaskClient, service: Services) -> None:
        saved = [stories.create(service) for _ in range(3)]
        stories.bring(service, "STAGED")
        data = {"action": "stage", "scope": "filter", "state": "SAVED", "name": ""}
        page = parsed(operator.post("/batches/bulk", data=data))
        assert page.xpath("//input[@name='batch']/@value") == [f"{each}:1" for each in reversed(saved)]

    def test_nothing_chosen_and_nonsense(self, operator: FlaskClient) -> None:
        page = parsed(operator.post("/batches/bulk", data={"action": "pause", "batch": ["x", "1:", "²:1"]}))
        assert "No batch was chosen" in words(page)
        assert operator.post("/batches/bulk", data={"action": "explode"}).status_code == 422
