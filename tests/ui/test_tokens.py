"""The page of tokens: made, shown once, revoked."""

from flask import Flask

from tests.support.client import ApiClient
from tests.ui.visits import one, parsed, read, visitor, words


def test_make_show_once_revoke(app: Flask, client: ApiClient) -> None:
    admin = visitor(app, client.tokens, "admin")
    made = parsed(admin.post("/tokens", data={"name": "jane", "role": "operator"}))
    secret = words(one(made, "//*[@id='secret']"))
    store = app.extensions["interlock"].tokens
    assert (store.caller(secret).name, store.caller(secret).role) == ("jane", "operator")
    page = read(admin, "/tokens")
    assert secret not in page.text_content()
    form = one(page, "//button[@aria-label='Revoke the token of jane']/ancestor::form")
    assert admin.post(form.get("action")).status_code == 303
    assert store.caller(secret) is None
    assert "jane" not in read(admin, "/tokens").text_content()


def test_422_says_what_is_wrong(app: Flask, client: ApiClient) -> None:
    admin = visitor(app, client.tokens, "admin")
    for form, said in (
        ({"name": "", "role": "viewer"}, "needs a name"),
        ({"name": "n" * 101, "role": "viewer"}, "needs a name"),
        ({"name": "n", "role": "king"}, "Choose a role"),
        ({"name": "admin", "role": "viewer"}, "reserved for the service"),
        ({"name": "n", "role": "viewer", "expires_at": "2020-01-01T00:00"}, "expires_at is in the past"),
        ({"name": "n", "role": "viewer", "expires_at": "soon"}, "has to be a date and time"),
    ):
        page = parsed(admin.post("/tokens", data=form), 422)
        assert said in words(one(page, "//*[@role='alert']"))


def test_revoking_an_unknown_token_is_a_404_page(app: Flask, client: ApiClient) -> None:
    admin = visitor(app, client.tokens, "admin")
    page = parsed(admin.post("/tokens/999/revoke"), 404)
    assert page.xpath("//nav")
