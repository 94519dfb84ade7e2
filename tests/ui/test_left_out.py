"""The page of a batch's input says what is not in the texts that models are sent."""

from flask.testing import FlaskClient

from app.services import Services
from tests.services import stories
from tests.ui.visits import one, read, words


def test_the_page_of_the_input_says_what_was_left_out_of_which_document(
    operator: FlaskClient, service: Services
) -> None:
    batch_id = stories.create(service, documents=3)
    assert read(operator, f"/batches/{batch_id}/input").xpath("//*[@id='left-out-title']") == []
    stories.act(service, batch_id, "stage")
    missing = [
        [{"what": "3 pages without text", "pages": [4, 5, 9]}, {"what": "1 <picture>"}],
        None,
        "not as the built-in reader writes it",
    ]
    for task, left_out in zip(stories.lease(service, batch_id), missing, strict=True):
        metadata = {"left_out": left_out} if left_out else {}
        stories.complete(service, task, {"text": "some text", "metadata": metadata})
    section = one(read(operator, f"/batches/{batch_id}/input"), "//section[@aria-labelledby='left-out-title']")
    rows = section.xpath(".//tbody/tr")
    assert [words(cell) for cell in rows[0]][1] == "3 pages without text, 1 <picture>"
    assert len(rows) == 1
    assert one(section, ".//td/a").get("href").startswith(f"/batches/{batch_id}/tasks/")
