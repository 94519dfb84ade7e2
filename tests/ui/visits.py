"""Pages read without a browser: a signed-in client of the application, and what a page says, taken apart."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from lxml import html

from tests.support import signing_in

FRAGMENT = {"HX-Request": "true"}


def visitor(app: Flask, tokens: dict[str, str], role: str) -> FlaskClient:
    """Make a client that has signed in with the token of a role."""
    client = app.test_client()
    form = signing_in.form_of(client.get(signing_in.PATH).text, tokens[role])
    signed_in = client.post(signing_in.PATH, data=form)
    assert signed_in.status_code == 303, signed_in.get_data(as_text=True)
    client.environ_base["HTTP_X_CSRFTOKEN"] = forge_proof(client, "/machine")  # as scripts send it
    return client


def forge_proof(client: FlaskClient, path: str = "/sign-in") -> str:
    """Read the CSRF token that a form of our pages has, and a form of another site has not."""
    page = read(client, path, headers={"Accept": "text/html"})
    return str(page.xpath("//input[@name='csrf_token']/@value")[0])


def read(client: FlaskClient, path: str, status: int = 200, **more: Any) -> Any:
    """Get a page and take it apart."""
    return parsed(client.get(path, **more), status)


def parsed(response: Any, status: int = 200) -> Any:
    """Take an answer apart that has the status which is expected."""
    text = response.get_data(as_text=True)
    assert response.status_code == status, text[:2000]
    return html.fromstring(text)


def words(element: Any) -> str:
    """The text of an element as people read it."""
    return " ".join(element.text_content().split())


def one(page: Any, selector: str) -> Any:
    """The one element that an XPath finds."""
    (found,) = page.xpath(selector)
    return found


def fields(page: Any) -> dict[str, list[str]]:
    """The values of a form as a browser would send them."""
    found: dict[str, list[str]] = {}
    form = one(page, "//form[@id='edit-input' or @id='new-batch']")
    for each in form.xpath(".//input[@name] | .//textarea[@name] | .//select[@name]"):
        if each.get("type") in ("radio", "checkbox") and each.get("checked") is None:
            continue
        if each.tag == "select":
            value = (each.xpath("./option[@selected]/text()") or each.xpath("./option/text()"))[0]
        else:
            value = each.get("value", "") if each.tag == "input" else each.text or ""
        found.setdefault(each.get("name"), []).append(value)
    return found
