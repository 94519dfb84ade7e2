"""The input of a batch: seen always, changed while the batch is SAVED, as one edit."""

import pytest
from flask.testing import FlaskClient

from app.services import Services
from app.services.reads import documents
from tests.services import stories
from tests.ui.visits import fields, one, parsed, read, words


@pytest.mark.parametrize("state", ["SAVED", "ANALYZING", "COMPLETED"])
def test_it_is_seen_in_every_state(operator: FlaskClient, service: Services, state: str) -> None:
    batch_id = stories.bring(service, state, documents=3, max_failed_tasks=4)
    page = read(operator, f"/batches/{batch_id}/input")
    assert one(page, "//pre").text_content() == "Summarise:\n\n{document}"
    assert [words(each) for each in page.xpath("//pre/mark")] == ["{document}"]
    assert "3 documents" in words(page)
    assert "local" in words(one(page, "//section[@aria-labelledby='models-title']"))
    limits = words(one(page, "//section[@aria-labelledby='limits-title']"))
    assert "max_failed_tasks4" in limits
    assert bool(page.xpath("//a[contains(@href, 'input/edit')]")) == (state == "SAVED")


def test_documents_are_found_by_name_and_say_why_they_were_not_read(
    operator: FlaskClient, service: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = stories.create(service, documents=5, on_unreadable="skip")
    stories.act(service, batch_id, "stage")
    first, *others = stories.lease(service, batch_id)
    stories.complete(service, first, {"skipped": True, "reason": "a <picture> without text"})
    for task in others:
        stories.complete(service, task)
    page = read(operator, f"/batches/{batch_id}/input")
    table = one(page, "//section[@aria-labelledby='documents-title']//table")
    assert [words(each) for each in table.xpath(".//tbody/tr/td[5]")] == ["a <picture> without text", "", "", "", ""]
    monkeypatch.setattr(documents, "MOST_LOOKED_AT", 2)
    found, path = [], f"/batches/{batch_id}/input?find=3.T"
    while path:
        page = read(operator, path)
        found += [words(each) for each in page.xpath("//section[@aria-labelledby='documents-title']//tbody/tr/td[2]")]
        path = next(iter(page.xpath("//a[@rel='next']/@href")), "")
    assert found == ["3.txt"]


def test_prompts_models_and_limits_are_changed_as_one_edit(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.create(service)
    path = f"/batches/{batch_id}/input/edit"
    form = fields(read(operator, path))
    form |= {
        "prompt_name": ["who"], "prompt_text": ["Who speaks? {document}"], "prompt_system": [""],
        "prompt_schema": ['{"type": "object"}'], "max_cost": ["2.5"], "reason": ["a better question"],
    }  # fmt: skip
    form["model_model"] = ["another"]
    assert operator.post(path, data=form).status_code == 303
    batch = service.reads.batches.show(batch_id)
    assert (batch["version"], batch["options"]["max_cost"]) == (2, 2.5)
    assert batch["options"]["staging_timeout_seconds"] == 3600, "what the form does not offer stays"
    made_of = service.reads.batch_page.made_of(batch_id)
    assert [(each["name"], each["schema"]) for each in made_of.prompts] == [("who", {"type": "object"})]
    assert [each["model"] for each in made_of.models] == ["another"]
    row = stories.audit(service, batch_id)[-1]
    assert (row["trigger"], row["reason"]) == ("replace_input", "a better question")
    stories.follow(service, batch_id, "ANALYZING")


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_changed(
    operator: FlaskClient, service: Services
) -> None:
    batch_id = stories.create(service)
    path = f"/batches/{batch_id}/input/edit"
    form = fields(read(operator, path)) | {"max_attempts": ["many"], "prompt_text": [" "]}
    page = parsed(operator.post(path, data=form), 422)
    assert "is not a whole number" in words(one(page, "//*[@id='max_attempts-error']"))
    assert "needs a text" in words(one(page, "//*[@id='prompt_text_1-error']"))
    assert one(page, "//input[@id='max_attempts']").get("value") == "many"
    assert service.reads.batches.show(batch_id)["version"] == 1


def test_a_stale_form_and_a_batch_that_is_not_saved_are_refused(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.create(service)
    path = f"/batches/{batch_id}/input/edit"
    form = fields(read(operator, path))
    stories.act(service, batch_id, "stage")
    page = parsed(operator.post(path, data=form), 412)
    assert "You expected version 1" in words(one(page, "//*[@role='alert']"))
    form["version"] = [str(service.reads.batches.show(batch_id)["version"])]
    assert "replace_input needs a batch" in words(
        one(parsed(operator.post(path, data=form), 409), "//*[@role='alert']")
    )


def test_after_a_run_its_prompts_stay_and_the_limits_can_be_changed(operator: FlaskClient, service: Services) -> None:
    """The results of a run name the prompts and models that it used."""
    batch_id = stories.bring(service, "COMPLETED")
    stories.act(service, batch_id, "reset")
    path = f"/batches/{batch_id}/input/edit"
    page = read(operator, path)
    assert page.xpath("//textarea[@name='prompt_text']") == []
    assert "Earlier runs used the prompts" in words(page)
    assert operator.post(path, data=fields(page) | {"max_attempts": ["7"]}).status_code == 303
    assert service.reads.batches.show(batch_id)["options"]["max_attempts"] == 7
    assert len(service.reads.batch_page.made_of(batch_id).prompts) == 1
