"""The pages of a batch that splits long documents: answers about all parts of a document stand together."""

import re

from flask.testing import FlaskClient

from tests.api.lives import MODEL, act, complete, lease
from tests.support.client import ApiClient
from tests.ui.test_new_batch import FORM
from tests.ui.test_tasks_and_results import seen

LONG = "\n\n".join(f"{number}. " + "All of this is in the contract. " * 17 for number in range(12))


def split_batch(client: ApiClient, text: str = LONG) -> int:
    """Make a batch of a long and a short document with two models, and answer its tasks by part and model."""
    body = {
        "name": "contracts",
        "documents": [{"name": "long.txt", "text": text}, {"name": "short.txt", "text": "A letter."}],
        "prompts": [{"name": "sum", "text": "{document}"}],
        "models": [MODEL, {**MODEL, "model": "other"}],
        "options": {"on_too_long": "split", "part_characters": 2_000, "overlap_characters": 100},
    }
    batch_id = int(client.post("/api/batches", json=body).json["id"])
    act(client, batch_id, "stage")
    for task in lease(client, batch_id):
        complete(client, task, {"text": task["payload"]["text"], "metadata": {}})
    act(client, batch_id, "run")
    for task in lease(client, batch_id):
        part, model = task["payload"]["document"].get("part"), task["payload"]["model"]
        complete(client, task, {"text": f"About part {part}" + (f" says {model}" if part == 2 else "")})
    return batch_id


def test_the_answers_about_all_parts_are_in_one_cell(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = split_batch(client)
    page = seen(viewer, f"/batches/{batch_id}/results")
    first, second = re.findall(r'<ol class="cell-parts">(.*?)</ol>', page, re.S)
    assert re.findall(r"part \d of \d", first) == [f"part {number} of 4" for number in range(1, 5)]
    assert [f"About part {number}" in first for number in range(1, 5)] == [True] * 4
    assert second.count("= the same answer") == 3
    assert "<ins>other</ins>" in second
    assert page.count('class="cell-parts"') == 2  # the short document has none
    task_id = re.findall(r"/results/cell/(\d+)", first)[2]
    assert "part 3 of 4" in seen(viewer, f"/batches/{batch_id}/results/cell/{task_id}")
    assert "(part 3 of 4)" in seen(viewer, f"/batches/{batch_id}/tasks/{task_id}")
    assert "part 3 of 4" in seen(viewer, f"/batches/{batch_id}/tasks")
    assert "short.txt" not in seen(viewer, f"/batches/{batch_id}/results?show=differ").partition("<tbody>")[2]


def test_of_a_document_of_many_parts_the_first_ones_are_in_the_matrix(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = split_batch(client, "\n\n".join(f"Article {number}. " + "word " * 350 for number in range(23)))
    page = seen(viewer, f"/batches/{batch_id}/results")
    assert page.count("of 23</span>") == 2 * 20
    (more,) = set(re.findall(r'href="([^"]+)">3 more parts', page))
    assert "About part 21" in seen(viewer, more)


def test_the_answers_about_one_part_stand_side_by_side(client: ApiClient, viewer: FlaskClient) -> None:
    batch_id = split_batch(client)
    document_id = client.get(f"/api/batches/{batch_id}/documents").json["documents"][0]["id"]
    address = f"/batches/{batch_id}/results/{document_id}"
    page = seen(viewer, address)
    assert "the same answer" in page
    assert re.findall(r'part=(\d)"(?: aria-current="true")?>part', page) == ["1", "2", "3", "4"]
    assert "About part 1" in page
    page = seen(viewer, f"{address}?part=2")
    assert "says <ins>other</ins>" in page or "<ins>other</ins>" in page
    assert "About part 4" in seen(viewer, f"{address}?part=99")


def test_the_form_counts_parts(operator: FlaskClient) -> None:
    form = {**FORM, "text": LONG, "folders": "", "on_too_long": "split", "part_characters": "2000"}
    page = operator.post("/batches/new/look", data={**form, "overlap_characters": "100"}).text
    assert "= 8 tasks" in re.sub(r"\s+", " ", page)
    assert "about 3 parts more than there are documents" in page
    whole = operator.post("/batches/new/look", data={**form, "on_too_long": "fail"}).text
    assert "= 2 tasks" in re.sub(r"\s+", " ", whole)
