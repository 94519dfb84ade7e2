"""The page of the state machine says what the table says."""

from flask import Flask

from app.domain.transitions import TABLE
from tests.support.client import ApiClient
from tests.ui.visits import read, visitor, words


def test_every_row_of_the_table_is_explained(app: Flask, client: ApiClient) -> None:
    signed_in = visitor(app, client.tokens, "viewer")
    page = read(signed_in, "/machine")
    shown = [[words(cell) for cell in row] for row in page.xpath("//tbody/tr")]
    assert [row[:4] for row in shown] == [[t.trigger, t.kind, ", ".join(t.sources), t.target] for t in TABLE]
    picture = signed_in.get("/machine.svg")
    assert picture.content_type.startswith("image/svg+xml")
    assert all(t.trigger in picture.get_data(as_text=True) for t in TABLE)
