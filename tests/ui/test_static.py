"""Static files are compressed, and their addresses change with their content; the bar of the pages finds things."""

import gzip

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.services import Services
from app.ui import static_files
from tests.services import stories
from tests.ui.visits import read, words

MOST_COLD_BYTES = 120_000  # of the page of a batch with all it loads


def test_a_file_is_compressed_for_those_who_take_it(app: Flask) -> None:
    plain = app.test_client().get("/static/interlock.css")
    packed = app.test_client().get("/static/interlock.css", headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.content_type == "text/css; charset=utf-8"


def test_a_file_is_kept_for_a_year_under_the_sum_of_its_content(app: Flask) -> None:
    client = app.test_client()
    with app.test_request_context():
        address = static_files.asset("interlock.css")
    named = client.get(address)
    assert named.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for path in ("/static/interlock.css", "/static/interlock.css?v=older"):
        assert client.get(path).headers["Cache-Control"] == "no-cache"
    again = client.get(address, headers={"If-None-Match": named.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["none.css", "../config.py", "vendor", "", "%2e%2e/filters.py"])
def test_only_static_files_are_served(app: Flask, path: str) -> None:
    assert app.test_client().get(f"/static/{path}").status_code == 404


def test_the_page_of_a_batch_is_small_and_loads_one_style_sheet(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "ANALYZING", documents=40)
    answer = operator.get(f"/batches/{batch_id}")
    page = read(operator, f"/batches/{batch_id}")
    addresses = page.xpath("//link[@rel='stylesheet']/@href | //script/@src | //link[@rel='icon']/@href")
    assert len(page.xpath("//link[@rel='stylesheet']")) == 1
    assert not page.xpath("//style | //*[@style]"), "the policy of the pages refuses inline styles"
    sizes = [len(operator.get(each, headers={"Accept-Encoding": "gzip"}).data) for each in addresses]
    assert len(answer.data) + sum(sizes) < MOST_COLD_BYTES
    assert len(addresses) <= 12


def test_a_number_goes_to_its_batch_or_task_and_a_word_finds_by_name(operator: FlaskClient, service: Services) -> None:
    batch_id = stories.bring(service, "STAGED")
    task = stories.tasks_of(service, batch_id)[-1]["id"]
    assert int(task) != batch_id
    for sought, address in (
        (str(batch_id), f"/batches/{batch_id}"),
        (f"#{batch_id}", f"/batches/{batch_id}"),
        (task, f"/batches/{batch_id}/tasks/{task}"),
        ("", "/"),
    ):
        answer = operator.get("/find", query_string={"q": sought})
        assert (answer.status_code, answer.location) == (303, address)
    links = read(operator, "/find?q=contr").xpath("//ul[@class='found']//a/@href")
    assert links == [f"/batches/{batch_id}"]
    links = read(operator, "/find?q=0.t", headers={"HX-Request": "true"}).xpath("//ul[@class='found']//a/@href")
    assert links == [f"/batches/{batch_id}/results?find=0.txt"]
    for headers in ({}, {"HX-Request": "true"}):
        assert "Nothing has this number" in words(read(operator, "/find?q=99999", headers=headers))
