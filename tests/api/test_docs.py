"""GET /api/docs: the documentation page, which works without a network."""

import re
from html.parser import HTMLParser

from tests.support.client import ApiClient


class Loads(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value for key in ("src", "href", "action", "data") if (value := named.get(key))]
        self.inline += tag == "script" and "src" not in named


def test_the_page_loads_nothing_from_outside(same_client: ApiClient) -> None:
    """Contract 5: `GET /api/docs`; this service has every file that it names, and its policy allows no other."""
    stranger = same_client.acting_as(None)
    page = stranger.get("/api/docs")
    assert page.status_code == 200
    assert page.content_type.startswith("text/html")
    loads = Loads()
    loads.feed(page.text)
    assert loads.addresses
    for address in loads.addresses:
        assert re.match(r"/[^/]", address), address
        with stranger.get(address) as answer:
            assert answer.status_code == 200, address
    assert loads.inline == 0
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "*" not in policy


def test_it_shows_the_served_document(same_client: ApiClient) -> None:
    """Contract 5: the page shows /api/openapi.json, and calls no validator on the network."""
    start = same_client.acting_as(None).get("/api/docs/start.js")
    assert start.content_type.startswith("text/javascript")
    assert '"/api/openapi.json"' in start.text
    assert "validatorUrl: null" in start.text
    assert "://" not in start.text


def test_its_style_loads_nothing_either(same_client: ApiClient) -> None:
    """A style sheet may load fonts and pictures: this one does not."""
    with same_client.get("/api/docs/assets/swagger-ui.css") as style:
        outside = [url for url in re.findall(r"url\(([^)]*)\)", style.text) if not url.strip("'\"").startswith("data:")]
    assert outside == []


def test_no_file_beside_the_assets(same_client: ApiClient) -> None:
    """The assets' route serves that folder and nothing above it."""
    for path in ("../__init__.py", "..%2f__init__.py", "%2e%2e/__init__.py", "etc/passwd", "nothing.js", "%00"):
        assert same_client.get(f"/api/docs/assets/{path}").status_code == 404, path
