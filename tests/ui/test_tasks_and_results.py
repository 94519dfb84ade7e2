"""The pages of tasks and results, by Flask's client."""

import csv
import html
import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.leases import TaskStatus
from app.services import Services
from app.services.run_report import found_documents
from app.services.run_report.found_documents import Show
from app.ui.results import pages as results
from app.web.csv import COLUMNS
from tests.api.lives import MODEL, act, ask, bring, complete, create_ready, fail, lease
from tests.support.client import ApiClient
from tests.support.statements import counted
from tests.ui.visits import one, read, words

TWO_MODELS = [MODEL, {**MODEL, "model": "other"}]
SCHEMA = {"properties": {"score": {"type": "number"}}}


def seen(viewer: FlaskClient, path: str, status: int = 200) -> str:
    """GET a page; return its text with the entities read."""
    answer = viewer.get(path)
    assert answer.status_code == status, answer.get_data(as_text=True)[:500]
    return html.unescape(answer.get_data(as_text=True))


def links(text: str) -> list[str]:
    return re.findall(r'href="([^"]*)"', text)


def test_tasks_with_their_counts(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = bring(client, "ANALYZING", documents=3)["id"]
    first, second, _ = lease(client, batch_id)
    complete(client, first)
    fail(client, second, retryable=False, error={"code": "refused", "message": "<b>no</b> & never"})
    by_default = seen(viewer, f"/batches/{batch_id}/tasks")
    for said in ("all <b>3</b>", "leased <b>1</b>", "completed <b>1</b>", "failed <b>1</b>", "queued <b>0</b>"):
        assert said in by_default, "the tasks that call a model, without those that read the documents"
    answer = viewer.get(f"/batches/{batch_id}/tasks?kind=").get_data(as_text=True)
    assert "&lt;b&gt;no&lt;/b&gt;" in answer
    text = html.unescape(answer)
    for said in ("all <b>6</b>", "leased <b>1</b>", "completed <b>4</b>", "failed <b>1</b>", "queued <b>0</b>"):
        assert said in text
    failed = seen(viewer, f"/batches/{batch_id}/tasks?status=FAILED")
    assert f"/tasks/{second['id']}" in failed
    assert f"/tasks/{first['id']}" not in failed
    of_code = seen(viewer, f"/batches/{batch_id}/tasks?code=refused")
    assert f"/tasks/{second['id']}" in of_code
    assert "No task matches" in seen(viewer, f"/batches/{batch_id}/tasks?code=other")


def test_tasks_go_on_from_page_to_page(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = create_ready(client, tasks=120)["id"]
    for action in ("stage", "run"):
        act(client, batch_id, action)
    for query in ("", "?status=QUEUED", "?kind=ANALYZE"):
        path, found = f"/batches/{batch_id}/tasks{query}", []
        while path:
            text = seen(viewer, path)
            found += re.findall(rf'<td><a href="/batches/{batch_id}/tasks/(\d+)"', text)
            following = re.search(r'rel="next" href="([^"]+)"', text)
            path = following[1] if following else ""
        assert len(found) == len(set(found)) == 120


@pytest.mark.parametrize("query", ["status=nothing", "kind=x", "run=x", "cursor=x", "status=QUEUED&cursor=1", "run=-1"])
def test_what_no_filter_has_is_said(client: ApiClient, viewer: FlaskClient, query: str) -> None:
    batch_id = create_ready(client)["id"]
    assert viewer.get(f"/batches/{batch_id}/tasks?{query}").status_code == 422


def test_no_such_thing(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = bring(client, "COMPLETED", documents=1)["id"]
    paths = ("tasks/1234567", "tasks/x", "results/1234567", "results/1?prompt=9")
    for path in (*(f"/batches/{batch_id}/{each}" for each in paths), *(
        f"/batches/999999/{each}" for each in ("tasks", "results", "results/sums", "results.jsonl", "report.csv")
    )):  # fmt: skip
        assert viewer.get(path).status_code == 404, path


def test_one_task_whole(client: ApiClient, viewer: FlaskClient) -> None:
    prompts = [{"name": "p", "text": "Grade {document}", "system": "You grade {name}.", "schema": SCHEMA}]
    batch_id = bring(client, "ANALYZING", documents=1, prompts=prompts)["id"]
    (task,) = lease(client, batch_id)
    usage = {"input_tokens": 1234, "output_tokens": 56, "latency_ms": 789}
    complete(client, task, {"json": {"score": 7}, "text": '{"score": 7}', "usage": usage})
    text = seen(viewer, f"/batches/{batch_id}/tasks/{task['id']}")
    tokens = "1\N{NARROW NO-BREAK SPACE}234 in, 56 out"
    unknown = "0.00 (unknown for 1 call)"
    for each in ("You grade 0.txt.", "Grade read", '"score": 7', tokens, "789 ms", "1 of 3", unknown):
        assert each in text
    for address in ("results/sums", "results/sums?all=1"):
        assert unknown in seen(viewer, f"/batches/{batch_id}/{address}")


def test_a_late_result_and_an_answer_reused(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = bring(client, "ANALYZING", documents=1)["id"]
    (task,) = lease(client, batch_id)
    act(client, batch_id, "cancel")
    complete(client, task, {"text": "too late"})
    text = seen(viewer, f"/batches/{batch_id}/tasks/{task['id']}")
    assert "Late results" in text
    assert "too late" in text
    listed = seen(viewer, f"/batches/{batch_id}/tasks?kind=ANALYZE")
    assert "reported completed after the run was over" in listed
    assert "poisoned" not in listed
    done = bring(client, "COMPLETED", documents=1)["id"]
    act(client, done, "restage")
    for each in lease(client, done):
        complete(client, each, {"text": "read"})
    listed = client.get(f"/api/batches/{done}/tasks").json["tasks"]
    (reused,) = (each for each in listed if each["reused_from"])
    text = seen(viewer, f"/batches/{done}/tasks/{reused['id']}")
    assert f"/batches/{done}/tasks/{reused['reused_from']}" in links(text)
    assert "no call was made" in text


def test_the_attempts_of_a_task_as_a_timeline(client: ApiClient, viewer: FlaskClient) -> None:
    """On its page, and beside the matrix."""
    batch_id = bring(client, "ANALYZING", documents=1)["id"]
    (task,) = lease(client, batch_id)
    fail(client, task, error={"code": "timeout", "message": "m"}, retry_after_seconds=0)
    (again,) = lease(client, batch_id)
    act(client, batch_id, "cancel")
    complete(client, again, {"text": "too late", "usage": {"latency_ms": 390}})
    for path in (f"tasks/{task['id']}", f"results/cell/{task['id']}"):
        page = read(viewer, f"/batches/{batch_id}/{path}")
        first, second = (words(each) for each in page.xpath("//ol[@class='attempts']/li"))
        assert first.startswith("Failed timeout"), path
        assert "attempt 1 · w" in first, path
        assert second.startswith("Came too late: completed"), path
        assert "attempt 2" in second, path


def answered_differently(client: ApiClient) -> tuple[int, int]:
    """Make a COMPLETED batch whose two models answer one document alike and one not; return it and the latter."""
    batch_id = int(bring(client, "ANALYZING", documents=2, models=TWO_MODELS)["id"])
    differing = 0
    for task in lease(client, batch_id):
        document, model = task["payload"]["document"], task["payload"]["model"]
        text = "a red fox" if document["name"] == "0.txt" and model == "other" else "a grey fox"
        differing = document["id"] if document["name"] == "0.txt" else differing
        complete(client, task, {"text": text})
    return batch_id, differing


def cells_of(page: Any) -> list[list[str]]:
    """The answers of the matrix, row by row."""
    return [[words(cell) for cell in row.xpath("./td")] for row in page.xpath("//table//tbody/tr")]


def test_the_matrix_and_its_columns(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id, _ = answered_differently(client)
    page = read(viewer, f"/batches/{batch_id}/results")
    assert cells_of(page) == [["a grey fox", "a greyred fox"], ["a grey fox", "= the same answer"]]
    assert [words(each) for each in page.xpath("//td//del")] == ["grey"]
    assert [words(each) for each in page.xpath("//td//ins")] == ["red"]
    heads = [words(each) for each in page.xpath("//thead//th")]
    assert heads[1].startswith(f"summary · {MODEL['model']}2 done")
    shares = read(viewer, one(page, "//span[@hx-trigger='load']/@hx-get"))
    assert (shares.get("id"), words(shares)) == ("differ-1-2", "· 50 % differ")
    held = read(viewer, f"/batches/{batch_id}/results?held=m2")
    assert cells_of(held) == [["a redgrey fox", "a red fox"], ["= the same answer", "a grey fox"]]
    chosen = read(viewer, f"/batches/{batch_id}/results?column=1.2")
    assert cells_of(chosen) == [["a greyred fox"], ["= the same answer"]]
    assert len(cells_of(read(viewer, f"/batches/{batch_id}/results?column=9.9"))[0]) == 2
    for wrong in ("x", "1", "1.", "1.2.3"):
        assert viewer.get(f"/batches/{batch_id}/results?column={wrong}").status_code == 422


def names_in(page: Any) -> list[str]:
    return [words(each) for each in page.xpath("//table//tbody//th")]


def test_the_matrix_finds_documents_by_name_and_outcome_and_by_what_differs(
    client: ApiClient, viewer: FlaskClient
) -> None:
    batch_id = int(bring(client, "ANALYZING", documents=5, models=TWO_MODELS)["id"])
    for task in lease(client, batch_id)[:-1]:
        document, model = task["payload"]["document"], task["payload"]["model"]
        if (document["name"], model) == ("3.txt", "other"):
            fail(client, task, retryable=False, error={"code": "refused", "message": "<b>no</b>"})
        else:
            differs = (document["name"], model) == ("1.txt", "other")
            complete(client, task, {"text": "A red  fox" if differs else "a grey fox"})
    path = f"/batches/{batch_id}/results"
    for query, found in (
        ("", ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt"]),
        ("?find=2.T", ["2.txt"]),
        ("?find=%25", []),
        ("?show=differ", ["1.txt"]),
        ("?show=differ&find=2", []),
        ("?show=failed", ["3.txt"]),
        ("?show=no_answer", ["4.txt"]),
        ("?show=nonsense", ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt"]),
    ):
        assert names_in(read(viewer, path + query)) == found, query
    chips = [words(each) for each in read(viewer, path).xpath("//nav[@aria-label='Which documents']/a")]
    assert chips == ["All 5", "Differ", "Failed 1", "No answer 1"]
    assert cells_of(read(viewer, f"{path}?show=failed"))[0][1] == "refused <b>no</b>"


def test_a_click_on_a_column_sorts_by_it(
    client: ApiClient, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "DOCUMENTS_A_PAGE", 2)
    batch_id = int(bring(client, "ANALYZING", documents=4)["id"])
    for task, (latency, cost) in zip(lease(client, batch_id), ((20, 1), (40, 3), (10, 2), (30, 0.5)), strict=True):
        complete(client, task, {"text": "yes", "usage": {"latency_ms": latency, "cost": cost}})

    def walked(path: str) -> list[str]:
        found = []
        while path:
            page = read(viewer, path)
            found += names_in(page)
            path = next(iter(page.xpath("//a[@rel='next']/@href")), "")
        return found

    path = f"/batches/{batch_id}/results"
    for order in (["0", "1", "2", "3"], ["1", "3", "0", "2"], ["1", "2", "0", "3"], ["0", "1", "2", "3"]):
        assert walked(path) == [f"{each}.txt" for each in order]
        path = read(viewer, path).xpath("//thead//th[2]/a/@href")[0]
    heads = f"/batches/{batch_id}/results/heads?column=1.1"
    assert words(one(read(viewer, heads), "//span[@id='latency-1-1']")) == "p50 20 ms"
    monkeypatch.setattr(results, "MOST_SUMMED", 3)
    assert "p50" not in viewer.get(heads).text
    assert walked(f"/batches/{batch_id}/results?sort=slowest&by=9.9") == [f"{each}.txt" for each in range(4)]


def test_what_has_no_value_of_the_column_comes_after_what_has_one(
    client: ApiClient, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is looked for among a few documents at a time: a page that ends early leads on."""
    monkeypatch.setattr(results, "DOCUMENTS_A_PAGE", 3)
    monkeypatch.setattr(found_documents, "MOST_LOOKED_AT", 2)
    batch_id = int(bring(client, "ANALYZING", documents=8)["id"])
    for task, latency in zip(lease(client, batch_id)[:4], (20, 20, 10, 30), strict=True):
        complete(client, task, {"text": "yes", "usage": {"latency_ms": latency, "cost": 0}})

    def walked(query: str) -> list[str]:
        found, path = [], f"/batches/{batch_id}/results?{query}"
        while path:
            page = read(viewer, path)
            found += names_in(page)
            path = next(iter(page.xpath("//a[@rel='next']/@href")), "")
        return [each.removesuffix(".txt") for each in found]

    slowest = walked("sort=slowest&by=1.1")
    assert (slowest[0], sorted(slowest[1:3]), slowest[3:]) == ("3", ["0", "1"], ["2", "4", "5", "6", "7"])
    assert walked("sort=dearest&by=1.1") == [str(number) for number in range(8)], "no answer had a cost"
    assert walked("sort=slowest&by=1.1&find=3.t") == ["3"]
    assert walked("sort=slowest&by=1.1&find=7.t") == ["7"]
    assert walked("find=6.t") == ["6"]
    assert walked("sort=slowest&by=1.1&show=no_answer") == ["4", "5", "6", "7"]
    assert walked("sort=slowest&by=1.1&cursor=x") == slowest


def test_what_is_reused_and_what_failed_again_is_said_beside_an_earlier_run(
    client: ApiClient, viewer: FlaskClient
) -> None:
    prompts = [{"name": "p", "text": "Of {name}: {document}"}]  # each document has a question of its own
    batch_id = int(bring(client, "ANALYZING", documents=2, prompts=prompts)["id"])
    first, second = lease(client, batch_id)
    complete(client, first, {"text": "yes", "usage": {"cost": 0.5}})
    fail(client, second, retryable=False)
    ask(client, batch_id, "restage")
    for task in lease(client, batch_id):
        complete(client, task, {"text": "read"})
    act(client, batch_id, "run")
    fail(client, lease(client, batch_id)[0], retryable=False)
    page = read(viewer, f"/batches/{batch_id}/results?held=r1")
    (reused,), (failed,) = cells_of(page)
    assert reused == "= reused"
    assert failed.startswith("failed again ")
    assert "(\N{MINUS SIGN}0.50)" in words(one(page, "//thead"))
    runs = page.xpath("//*[@id='runs']//a/@href")
    assert runs == [f"/batches/{batch_id}/results?run={run}" for run in (2, 1)]
    assert [words(each) for each in page.xpath("//*[@id='runs']/summary")] == ["run 2"]


def test_the_matrix_is_held_against_an_earlier_run(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id, _ = answered_differently(client)
    ask(client, batch_id, "restage", context={"reuse": "none"})
    for task in lease(client, batch_id):
        complete(client, task, {"text": "read"})
    act(client, batch_id, "run")
    for task in lease(client, batch_id):
        is_last = task["payload"]["document"]["name"] == "1.txt"
        complete(client, task, {"text": "a brown fox" if is_last else "a grey fox"})
    page = read(viewer, f"/batches/{batch_id}/results?held=r1")
    assert cells_of(page) == [["= the same answer", "a redgrey fox"], ["a greybrown fox", "a greybrown fox"]]
    changed = read(viewer, f"/batches/{batch_id}/results?held=r1&show=differ&column=1.1")
    assert names_in(changed) == ["1.txt"]
    assert "Changed since run 1" in words(one(changed, "//nav[@aria-label='Which documents']/a[@aria-current]"))


def test_json_answers_are_keys_and_values_of_which_the_changed_are_marked(
    client: ApiClient, viewer: FlaskClient
) -> None:
    prompts = [{"name": "p", "text": "Grade {document}", "schema": SCHEMA}]
    batch_id = bring(client, "ANALYZING", documents=1, prompts=prompts, models=TWO_MODELS)["id"]
    for score, task in enumerate(lease(client, batch_id)):
        complete(client, task, {"json": {"kind": "letter", "score": score}})
    page = read(viewer, f"/batches/{batch_id}/results")
    assert [words(each) for each in page.xpath("//td//b")] == ["kind", "score"] * 2
    assert [words(each) for each in page.xpath("//td//*[@class='changed']")] == ["1"]


ANSWER = """# Summary

**Bold** <script>alert(1)</script> [a link](https://evil.example) ![an image](https://evil.example/x.png)

| clause | risk |
|:--|--:|
| 4.1 | low |
"""


def test_an_answer_beside_the_matrix(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = bring(client, "ANALYZING", documents=1, models=TWO_MODELS)["id"]
    first, second = lease(client, batch_id)
    complete(client, first, {"text": ANSWER})
    complete(client, second, {"text": ANSWER.replace("low", "high")})
    page = read(viewer, f"/batches/{batch_id}/results")
    opened, alone = page.xpath("//td//a/@href")[1], page.xpath("//td//a/@hx-get")[1]
    whole = one(read(viewer, opened), "//aside[@id='drawer']")
    assert whole.get("hidden") is None
    assert len(page.xpath("//aside[@hidden]")) == 1
    rendered = read(viewer, alone.replace("view=differences", "view=rendered"))
    assert words(one(rendered, "//*[@class='rendered']/h3")) == "Summary"
    assert words(one(rendered, "//strong")) == "Bold"
    assert [words(each) for each in rendered.xpath("//td")] == ["4.1", "high"]
    assert rendered.xpath("//script | //img | //*[@class='rendered']//a | //*[@style]") == []
    assert "<script>alert(1)</script>" in words(one(rendered, "//*[@class='rendered']"))
    assert words(one(read(viewer, alone), "//del")) == "low"
    sent = read(viewer, alone.replace("view=differences", "view=sent"))
    assert "read" in words(one(sent, "//pre[@role='region']"))
    raw = read(viewer, alone.replace("view=differences", "view=raw"))
    assert one(raw, "//pre[@role='region']").text_content() == ANSWER.replace("low", "high")
    for path in ("cell/999999", "cell/x"):
        assert viewer.get(f"/batches/{batch_id}/results/{path}").status_code == 404
    assert viewer.get(f"/batches/{batch_id}/results?cell=999999").status_code == 404
    assert viewer.get(f"{alone}&against=999999".replace(f"&against={first['id']}", "")).status_code == 200


def test_the_matrix_goes_on_from_page_to_page(
    client: ApiClient, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "DOCUMENTS_A_PAGE", 2)
    batch_id = bring(client, "COMPLETED", documents=5)["id"]
    path, found = f"/batches/{batch_id}/results?column=1.1", []
    while path:
        page = read(viewer, path)
        found += names_in(page)
        path = next(iter(page.xpath("//a[@rel='next']/@href")), "")
    assert found == [f"{number}.txt" for number in range(5)]


def test_the_matrix_of_lines(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = create_ready(client, tasks=2)["id"]
    for action in ("stage", "run"):
        act(client, batch_id, action)
    for task in lease(client, batch_id):
        complete(client, task, {"text": f"answer to {task['payload']['custom_id']}"})
    text = seen(viewer, f"/batches/{batch_id}/results")
    assert "answer to 0" in text
    assert "answer to 1" in text
    assert "m <small>(jsonl)" in seen(viewer, f"/batches/{batch_id}/results/sums")


def test_the_sums_and_what_large_runs_have_instead(
    client: ApiClient, viewer: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id, _ = answered_differently(client)
    text = seen(viewer, f"/batches/{batch_id}/results/sums")
    assert "gave equal answers to 1 of 2 documents (50.0%)" in text
    monkeypatch.setattr(results, "MOST_SUMMED", 3)
    short = seen(viewer, f"/batches/{batch_id}/results/sums")
    assert "need every answer of 4 tasks" in short
    (address, *_) = (link for link in links(short) if "all=1" in link)
    assert "gave equal answers" in seen(viewer, address)
    part = viewer.get(address, headers={"HX-Request": "true"}).get_data(as_text=True)
    assert "gave equal answers" in part
    assert "<html" not in part


def test_answers_beside_each_other(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id, document_id = answered_differently(client)
    text = seen(viewer, f"/batches/{batch_id}/results/{document_id}")
    assert "a <del>grey</del><ins>red</ins> fox" in text
    text = seen(viewer, f"/batches/{batch_id}/results/{document_id}?against=2")
    assert "a <del>red</del><ins>grey</ins> fox" in text
    text = seen(viewer, f"/batches/{batch_id}/results/{document_id + 1}")
    assert "the same answer" in text
    assert "<del>grey" not in text


def test_an_answer_that_was_cut_off_is_marked_on_every_page(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = bring(client, "ANALYZING", documents=2)["id"]
    cut, whole = lease(client, batch_id)
    complete(client, cut, {"text": "Two and", "finish_reason": "length"})
    complete(client, whole, {"text": "Four.", "finish_reason": "stop"})
    assert "1 answer cut off" in seen(viewer, f"/batches/{batch_id}")
    assert seen(viewer, f"/batches/{batch_id}/results").count("cut off") == 1
    for task, is_cut in ((cut, True), (whole, False)):
        assert ("completed, cut off" in seen(viewer, f"/batches/{batch_id}/tasks/{task['id']}")) == is_cut


def test_answers_with_too_many_differences_are_not_compared(client: ApiClient, viewer: FlaskClient) -> None:
    """Repetitive answers took minutes; now the work is bounded, and the page says that it has not compared them."""
    batch_id = int(bring(client, "ANALYZING", documents=1, models=TWO_MODELS)["id"])
    for number, task in enumerate(lease(client, batch_id)):
        complete(client, task, {"text": ("a b ", "c,d,")[number] * 5_000})
        document_id = task["payload"]["document"]["id"]
    text = seen(viewer, f"/batches/{batch_id}/results/{document_id}")
    assert "too long or too different to compare" in text
    assert "<del>a b" not in text


def test_downloads_are_those_of_the_api(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id, _ = answered_differently(client)
    lines = viewer.get(f"/batches/{batch_id}/results.jsonl?run=1")
    assert lines.headers["Content-Disposition"] == f'attachment; filename="batch-{batch_id}.jsonl"'
    assert lines.data == client.get(f"/api/batches/{batch_id}/results").data
    assert lines.data.count(b"\n") == 4
    table = viewer.get(f"/batches/{batch_id}/report.csv")
    assert table.headers["Content-Disposition"] == f'attachment; filename="batch-{batch_id}.csv"'
    assert table.data == client.get(f"/api/batches/{batch_id}/report?format=csv").data
    assert next(csv.reader(io.StringIO(table.data.decode("utf-8-sig")))) == list(COLUMNS)


def test_the_number_of_statements_does_not_grow_with_the_results(
    client: ApiClient, viewer: FlaskClient, services: Services
) -> None:
    few, many = (bring(client, "COMPLETED", documents=n, models=TWO_MODELS) for n in (1, 40))
    asked: dict[str, list[int]] = {}
    for batch in (few, many):
        tasks = client.get(f"/api/batches/{batch['id']}/tasks?limit=200").json["tasks"]
        last = tasks[-1]
        of_task = [f"tasks/{last['id']}", f"results/{last['document']['id']}"]
        shows = [f"results?show={show}" for show in Show] + [
            "results?held=r1",
            "results?find=.txt",
            "results?sort=slowest&by=1.1",
        ]
        lists = ["tasks", *(f"tasks?status={status}" for status in TaskStatus), "tasks?code=x", *shows]
        for number, path in enumerate([*lists, *of_task, "results/sums"]):
            with counted(services) as sent:
                seen(viewer, f"/batches/{batch['id']}/{path}")
            asked.setdefault(f"{number} {path.split('/')[0]}", []).append(len(sent))
    # A short list asks once more, for where it ended.
    assert all(of_many <= of_few for of_few, of_many in asked.values()), asked
    assert max(max(amounts) for amounts in asked.values()) <= 10, asked


def test_a_document_that_was_cut_is_shown_as_such(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = bring(client, "ANALYZING", documents=3, options={"on_too_long": "truncate"})["id"]
    cut, whole, odd = lease(client, batch_id)
    complete(client, cut, {"text": "of a part", "document_cut": {"characters": 90_000, "sent": 40_000}})
    complete(client, whole, {"text": "of all"})
    complete(client, odd, {"text": "of a part", "document_cut": {"sent": "some"}})
    assert seen(viewer, f"/batches/{batch_id}/results").count("document cut") == 2
    for task, is_cut in ((cut, True), (whole, False), (odd, False)):
        page = seen(viewer, f"/batches/{batch_id}/tasks/{task['id']}")
        assert ("cut: 40\u202f000 of 90\u202f000 characters were sent" in page) == is_cut
