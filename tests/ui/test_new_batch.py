"""The form of a new batch: what it would make, what it makes, and its objections; files and lines beside it."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.documents import PromptInput
from app.domain.estimates import PAGE_TOKENS, Template, Texts, all_tokens, picture_tokens, text_tokens
from app.domain.new_batch import AMOUNTS
from tests.support.client import ApiClient
from tests.ui.visits import fields, forge_proof, read, visitor

FORM = {
    "name": "contracts",
    "text": "The rent is due.",
    "text_name": "rent.txt",
    "folders": "letters/*.txt",
    "prompt_name": ["sum", "who"],
    "prompt_text": ["Sum up {name}: {document}", "Who speaks?"],
    "prompt_system": ["Be brief.", ""],
    "prompt_schema": ['{"type": "object"}', ""],
    "model_connection": ["local"],
    "model_model": ["textstats"],
    "model_params": ['{"n": 1}'],
    "max_cost": "2.5",
}
LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}\n'


@pytest.fixture
def operator(operator: FlaskClient) -> FlaskClient:
    """Asks as the script of the form does."""
    operator.environ_base["HTTP_ACCEPT"] = "application/json"
    return operator


def made(visitor: FlaskClient, **changes: Any) -> dict[str, Any]:
    response = visitor.post("/batches/new", data={**FORM, **changes})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json
    return answer


def test_a_batch_is_made_as_the_api_makes_it(client: ApiClient, operator: FlaskClient) -> None:
    batch_id = made(operator)["batch_id"]
    batch = client.get(f"/api/batches/{batch_id}").json
    assert (batch["state"], batch["version"], batch["name"]) == ("SAVED", 1, "contracts")
    assert batch["input"] == {"documents": 2, "prompts": 2, "models": 1, "ready_tasks": 0, "file_id": None}
    assert batch["options"] == {
        **{name: rule.default for name, rule in AMOUNTS.items()},
        "max_cost": 2.5,
        "on_unreadable": "fail",
        "on_truncated": "keep",
        "on_too_long": "fail",
        "auto_resume": True,
        "deadline_at": None,
    }
    (row,) = client.get(f"/api/batches/{batch_id}/audit").json["audit"]
    assert (row["trigger"], row["actor"], row["role"]) == ("create", "a operator", "operator")
    assert row["request_id"]


def test_without_the_script_the_page_of_the_files_follows(operator: FlaskClient) -> None:
    form = {**FORM, "csrf_token": forge_proof(operator, "/batches/new")}
    without = {"HTTP_X_CSRFTOKEN": "", "HTTP_ACCEPT": "text/html"}
    response = operator.post("/batches/new", data=form, environ_overrides=without)
    assert response.status_code == 303
    assert "rent.txt" in operator.get(response.location).text


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": " "}, "name", "1 to 200 characters"),
        ({"name": "x" * 201}, "name", "1 to 200 characters"),
        ({"folders": "../secret"}, "folders", "below the workers"),
        ({"prompt_text": ["", "Who?"]}, "prompt_text_1", "needs a text"),
        ({"prompt_schema": ["", '{"type": 5}']}, "prompt_schema_2", "is not a JSON Schema"),
        ({"prompt_schema": ["", "[]"]}, "prompt_schema_2", "object"),
        ({"model_params": ["{"]}, "model_params_1", "is not JSON"),
        ({"model_connection": [""]}, "model_connection_1", "1 to 200 characters"),
        ({"max_attempts": "0"}, "max_attempts", "1 to 100"),
        ({"max_attempts": "three"}, "max_attempts", "is not a whole number"),
        ({"max_cost": "nan"}, "max_cost", "0 to"),
        ({"priority": "10"}, "priority", "0 to 9"),
        ({"on_unreadable": "ignore"}, "on_unreadable", "fail or skip"),
        ({"on_truncated": "ignore"}, "on_truncated", "keep or fail"),
        ({"on_too_long": "ignore"}, "on_too_long", "fail or truncate"),
        ({"text": "a\0b"}, "text", "NUL"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    client: ApiClient, operator: FlaskClient, changes: dict[str, Any], field: str, words: str
) -> None:
    answer = operator.post("/batches/new", data={**FORM, **changes})
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [field]
    assert words in answer.json["errors"][field]
    page = operator.post("/batches/new", data={**FORM, **changes}, headers={"Accept": "text/html"})
    assert page.status_code == 422
    assert f'aria-describedby="{field}-error"' in page.text
    assert 'aria-invalid="true"' in page.text
    assert client.get("/api/batches").json["batches"] == []


def test_what_it_would_make_is_shown_and_nothing_is_saved(client: ApiClient, operator: FlaskClient) -> None:
    files = {"files_count": "3", "files_texts": "2", "files_characters": "4000", "sample_name": "", "sample_text": ""}
    page = operator.post("/batches/new/look", data={**FORM, **files}).text
    plain = re.sub(r"<[^>]+>|\s+", " ", page)
    assert re.search(r"4\s+documents\s+×\s+2\s+prompts\s+×\s+1\s+model\s+=\s+8\s+tasks", plain)
    assert "Sum up rent.txt: The rent is due." in page
    assert "Who speaks?\n\nThe rent is due." in page
    assert "1 file is known once" in plain
    assert "prices are the workers" in plain
    assert client.get("/api/batches").json["batches"] == []


def test_a_file_that_was_picked_is_what_the_preview_shows(operator: FlaskClient) -> None:
    page = operator.post("/batches/new/look", data={**FORM, "sample_name": "a.md", "sample_text": "<b>bold</b>"}).text
    assert "Sum up a.md: &lt;b&gt;bold&lt;/b&gt;" in page


def test_a_word_in_braces_that_is_no_placeholder_is_warned_of(operator: FlaskClient) -> None:
    texts = ['Sum up {documnet} as {"a": {"b": 1}}', "{document} and {{name}} and {metadata.author}"]
    page = operator.post("/batches/new/look", data={**FORM, "prompt_text": texts}).text
    assert re.findall(r'class="warning">([^<]+)', page) == [
        "sum has no {document}: the text of the document follows the prompt.",
        "sum: {documnet} is no placeholder and goes to the model as it is. Is {document} meant?",
    ]


def test_the_dialog_estimates_what_the_form_did(client: ApiClient, operator: FlaskClient) -> None:
    """One estimate wherever it is shown: the price of earlier calls, and the texts of this batch."""
    form = {**FORM, "folders": "", "text": "é" * 600, "prompt_text": ["Say {document}", "Who?"]}
    for number in range(2):
        batch_id = made(operator, **{**form, "text": "x" * 600})["batch_id"]
        client.post(f"/api/batches/{batch_id}/action", json={"action": "stage"})
        worker = client.acting_as("worker")
        for _ in range(2):
            for task in worker.post("/api/tasks/lease", json={"worker": "w", "max_tasks": 9}).json["tasks"]:
                result = {"text": "ok", "usage": {"input_tokens": 100, "output_tokens": 1, "cost": 1.0 + number}}
                report = {"lease_token": task["lease_token"], "result": result}
                assert worker.post(f"/api/tasks/{task['id']}/complete", json=report).status_code == 200
            client.post(f"/api/batches/{batch_id}/action", json={"action": "run"})
    shown = re.search(r"About <strong>([^<]+)</strong> in the", operator.post("/batches/new/look", data=form).text)
    assert shown
    assert re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", shown[1])
    batch_id = made(operator, **form)["batch_id"]
    dialog = operator.get(f"/batches/{batch_id}/act/stage?version=1", headers={"HX-Request": "true"}).text
    assert f"at a cost of about {shown[1]}" in dialog


def test_tokens_are_estimated_by_what_is_sent() -> None:
    # 2 texts of 40 characters together: "say " twice and the texts, then "what" twice and the texts that follow.
    prompts = [Template("say {document}", None), Template("what", None)]
    assert text_tokens(Texts(2, 40), prompts, 1) == (2 * 4 + 40 + 2 * 4 + 40) // 4
    assert text_tokens(Texts(1, 8), [Template("{document}{document}", "{document}")], 3) == 3 * 6
    assert text_tokens(Texts(), [Template("say", None)], 1) == 0


def test_a_prompt_that_gets_pictures_is_estimated_without_the_texts() -> None:
    of_images, of_text = Template("see {document}", "look", PromptInput.IMAGES), Template("{document}", None)
    assert text_tokens(Texts(2, 4_000), [of_images], 1) == 0
    assert picture_tokens(2, [of_images, of_text], 3) == 3 * 2 * (PAGE_TOKENS + 2)
    assert all_tokens(Texts(), 2, [of_images], 1) == 2 * (PAGE_TOKENS + 2)
    assert all_tokens(Texts(2, 400), 4, [of_images, of_text], 1) == 4 * (PAGE_TOKENS + 2) + 200
    assert all_tokens(Texts(), 2, [of_images, of_text], 1) == 0  # nothing is known of the texts


def complete_at_a_price(client: ApiClient, batch_id: int) -> None:
    """Stage and run a batch; each of its tasks has used 100 tokens and cost 1."""
    worker = client.acting_as("worker")
    client.post(f"/api/batches/{batch_id}/action", json={"action": "stage"})
    for _ in range(2):
        for task in worker.post("/api/tasks/lease", json={"worker": "w", "max_tasks": 9}).json["tasks"]:
            result = {"text": "ok", "usage": {"input_tokens": 100, "output_tokens": 1, "cost": 1.0}}
            report = {"lease_token": task["lease_token"], "result": result}
            assert worker.post(f"/api/tasks/{task['id']}/complete", json=report).status_code == 200
        client.post(f"/api/batches/{batch_id}/action", json={"action": "run"})


def test_the_cost_is_that_of_earlier_calls(client: ApiClient, operator: FlaskClient) -> None:
    batch_id = made(operator, folders="", prompt_text=["Say {document}", "Who?"])["batch_id"]
    complete_at_a_price(client, batch_id)
    page = operator.post("/batches/new/look", data={**FORM, "text": "x" * 400, "folders": ""}).text
    tokens = int(re.search(r"About <strong>([\d,]+)</strong> input", page)[1].replace(",", ""))  # type: ignore[index]
    assert tokens > 200
    assert f"About <strong>{tokens / 100:,.2f}</strong> in the currency" in page
    assert 'data-connection="local"' in operator.get("/batches/new").text


def test_pictures_are_in_the_estimate_and_in_the_cost(client: ApiClient, operator: FlaskClient) -> None:
    batch_id = made(operator, folders="", text="x" * 400)["batch_id"]
    complete_at_a_price(client, batch_id)
    form = {**FORM, "text": "", "folders": "", "files_count": "3", "prompt_text": ["See."], "prompt_input": ["images"]}
    form |= {"prompt_system": [""], "prompt_name": ["see"], "prompt_schema": [""]}
    page = operator.post("/batches/new/look", data=form).text
    tokens = 3 * (PAGE_TOKENS + 1)
    page = re.sub(r"(?<=\d)\s(?=\d{3})", "", page)
    assert f"About <strong>{tokens}</strong> input tokens" in page
    assert "A picture of a page counts as 1105 tokens, and each document as one page." in page
    assert "is not in that number" not in page  # no text is sent
    assert f"About <strong>{tokens / 100:,.2f}</strong> in the currency" in page
    made_batch = made(operator, **{**form, "text": "x"})["batch_id"]
    dialog = operator.get(f"/batches/{made_batch}/act/stage?version=1", headers={"HX-Request": "true"}).text
    assert f"at a cost of about {tokens / 300:,.2f}" in dialog


def test_files_come_one_by_one(client: ApiClient, operator: FlaskClient) -> None:
    made_batch = made(operator, text="", folders="")
    first = operator.post(f"{made_batch['files']}?name=a.md", data=b"one")
    assert (first.status_code, first.json["message"]) == (201, "Stored.")
    twin = operator.post(f"{made_batch['files']}?name=b.md", data=b"one")
    assert twin.json["message"] == "Left out: a.md has the same content."
    (document,) = client.get(f"/api/batches/{made_batch['batch_id']}/documents").json["documents"]
    assert (document["name"], document["media_type"], document["size_bytes"]) == ("a.md", "text/markdown", 3)
    known = operator.post(f"{made_batch['files']}/known", json={"names": ["a.md", "z"]}).json["files"]
    assert [(each["name"], each["size_bytes"]) for each in known] == [("a.md", 3)]
    assert "a.md" in operator.get(made_batch["files"]).text


def test_a_file_that_is_not_taken_says_why(app: Any, client: ApiClient, operator: FlaskClient) -> None:
    batch = made(operator, folders="")
    assert operator.post(f"{batch['files']}?name=", data=b"x").status_code == 422
    app.config["MAX_CONTENT_LENGTH"] = 10
    large = operator.post(f"{batch['files']}?name=a.txt", data=b"x" * 11)
    assert (large.status_code, large.json["message"]) == (413, "a.txt is larger than the limit of 10 bytes.")
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000
    client.post(f"/api/batches/{batch['batch_id']}/action", json={"action": "stage"})
    late = operator.post(f"{batch['files']}?name=a.txt", data=b"x")
    assert late.status_code == 409
    assert "STAGING" in late.json["message"]
    assert operator.post("/batches/999999/files?name=a.txt", data=b"x").status_code == 404


def test_lines_become_a_batch_and_bad_ones_are_named(client: ApiClient, operator: FlaskClient) -> None:
    bad = operator.post("/batches/new/lines?name=ready", data=LINE + b"{}\n" + LINE, content_type="application/jsonl")
    assert bad.status_code == 422
    assert list(bad.json["lines"]) == ["line 2", "line 3"]
    assert bad.json["lines"]["line 3"] == "custom_id 'a' is on line 1 already"
    assert client.get("/api/batches").json["batches"] == []
    good = operator.post("/batches/new/lines?name=ready", data=LINE, content_type="application/jsonl")
    assert good.status_code == 201
    assert client.get(f"/api/batches/{good.json['batch_id']}").json["input"]["ready_tasks"] == 1
    assert operator.post("/batches/new/lines?name=", data=LINE).json["errors"]["name"]
    wrong = operator.post("/batches/new/lines?name=a&on_truncated=ignore", data=LINE)
    assert (wrong.status_code, list(wrong.json["errors"])) == (422, ["lines_on_truncated"])
    fails = operator.post("/batches/new/lines?name=a&on_truncated=fail", data=LINE, content_type="application/jsonl")
    assert client.get(f"/api/batches/{fails.json['batch_id']}").json["options"]["on_truncated"] == "fail"


def test_a_viewer_makes_nothing(client: ApiClient) -> None:
    viewer = visitor(client.application, client.tokens, "viewer")
    assert viewer.get("/batches/new").status_code == 403
    for address in ("/batches/new", "/batches/new/look", "/batches/new/lines?name=a", "/batches/1/files?name=a"):
        assert viewer.post(address, data=b"").status_code in (400, 403)
    assert client.get("/api/batches").json["batches"] == []


def like(operator: FlaskClient, batch_id: int) -> dict[str, Any]:
    """The form that is filled in like a batch, as a browser would send it."""
    return fields(read(operator, f"/batches/new?from={batch_id}"))


def test_a_batch_is_duplicated_and_changed_first(client: ApiClient, operator: FlaskClient) -> None:
    source = client.get(f"/api/batches/{made(operator)['batch_id']}").json
    form = like(operator, source["id"])
    assert form["name"] == ["contracts (copy)"]
    form["prompt_text"] = ["Sum up in French: {document}", "Who speaks?"]
    answer = operator.post("/batches/new", data=form)
    assert answer.status_code == 201, answer.text
    batch = client.get(f"/api/batches/{answer.json['batch_id']}").json
    assert (batch["state"], batch["input"], batch["options"]) == ("SAVED", source["input"], source["options"])
    own = operator.post("/batches/new", data={**form, "text": "Another text."}).json["batch_id"]
    assert client.get(f"/api/batches/{own}").json["input"]["documents"] == 1


def test_a_duplicate_is_estimated_with_the_documents_that_are_copied(operator: FlaskClient) -> None:
    form = like(operator, made(operator)["batch_id"])
    look = operator.post("/batches/new/look", data=form).text
    assert "2 documents" in look
    assert "= 4 tasks" in " ".join(look.split())
    assert operator.get("/batches/new?from=999999").status_code == 404
    assert operator.get("/batches/new?from=x").status_code == 422
    gone = operator.post("/batches/new", data={**form, "from": "999999"})
    assert gone.status_code == 422


def test_warnings_before_it_is_created(client: ApiClient, operator: FlaskClient) -> None:
    def warned(**changes: Any) -> str:
        return operator.post("/batches/new/look", data={**FORM, **changes}).text

    assert "Who speaks?" in warned()
    assert "who has no {document}" in warned()
    assert "sum has no" not in warned()
    assert "calls local/textstats" not in warned(), "no worker is known"
    client.post("/api/tasks/lease", json={"worker": "w", "can": ["stage", "openai/*"]})
    assert "No known worker calls local/textstats" in warned()
    assert "No known worker calls" not in warned(model_connection=["openai"])


def test_it_is_created_staged_and_run_at_once(client: ApiClient, operator: FlaskClient) -> None:
    """Two changes after the creation, both of the operator: the service runs it when it is staged."""
    batch_id = made(operator, then="run", folders="", prompt_text=["Sum up {document}", "Who?"])["batch_id"]
    (task,) = client.post("/api/tasks/lease", json={"worker": "w", "batch_id": batch_id}).json["tasks"]
    done = {"lease_token": task["lease_token"], "result": {"text": "The rent is due."}}
    assert client.post(f"/api/tasks/{task['id']}/complete", json=done).status_code == 200
    assert client.get(f"/api/batches/{batch_id}").json["state"] == "ANALYZING"
    changes = [(row["trigger"], row["actor"]) for row in client.get(f"/api/batches/{batch_id}/audit").json["audit"]]
    own = "a operator"
    assert changes == [("create", own), ("stage", own), ("staging_completed", "system"), ("run", own)]


def test_a_batch_that_cannot_be_staged_is_created_all_the_same(client: ApiClient, operator: FlaskClient) -> None:
    batch_id = made(operator, then="run", prompt_name=[], prompt_text=[])["batch_id"]
    assert client.get(f"/api/batches/{batch_id}").json["state"] == "SAVED"
