"""Every route of contract 5: tokens, roles, and the answer to each kind of invalid request, which is never a 5xx."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from app import create_app
from config import Config
from tests.api.calls import CALLS, LISTS, PUBLIC, UNKNOWN, WITH_BODY, WITH_ID, at
from tests.api.lives import refused
from tests.support.client import ApiClient, api_client
from tests.support.server import ROLES

JSON = "application/json"


def routes_of(app: Flask) -> set[tuple[str, str]]:
    """Return the method and path of each route of the application, written as in OpenAPI."""
    return {
        (method, re.sub(r"<(?:[^:>]+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_the_table_names_every_route_of_the_api(same_app: Flask) -> None:
    """Contract 5: the table in this folder has every call of the API, and no other."""
    served = {route for route in routes_of(same_app) if route[1].startswith("/api/")}
    public = {("GET", "/api/openapi.json"), ("GET", "/api/docs")}
    public |= {("GET", "/api/docs/start.js"), ("GET", "/api/docs/assets/{name}")}
    assert served - public == {(call.method, call.path) for call in CALLS}


def test_the_document_names_the_same_calls(same_client: ApiClient) -> None:
    """Contract, top: where the served OpenAPI document and the contract disagree, one of them has a bug."""
    paths = same_client.get("/api/openapi.json").json["paths"]
    documented = {(method.upper(), path) for path, item in paths.items() for method in item if method != "parameters"}
    assert documented == {(call.method, call.path) for call in CALLS}


@pytest.mark.parametrize("path", PUBLIC)
def test_public_without_a_token(same_app: Flask, path: str) -> None:
    """Contract 5: probes, metrics and the documentation need no token."""
    with same_app.test_client().get(path) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer nonsense",
        "Bearer ",
        "Bearer",
        "Bearer \xe9\xff",
        "Basic YWRtaW46YWRtaW4=",
        "Token x",
        "Bearer " + "a" * 5000,
    ],
)
def test_401_without_a_valid_token(same_client: ApiClient, header: str | None) -> None:
    """Contract 5: 401 without a valid token, a problem with WWW-Authenticate."""
    stranger = same_client.acting_as(None)
    for call in CALLS:
        answer = call.make(stranger, headers={"Authorization": header} if header is not None else {})
        assert refused(answer, 401)["code"] == "unauthenticated", call
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), call


def test_the_name_of_the_scheme_is_case_insensitive(same_client: ApiClient) -> None:
    """Contract 5: `Authorization: Bearer <token>`; in RFC 9110 the scheme is case-insensitive."""
    headers = {"Authorization": f"bearer {same_client.tokens['viewer']}"}
    assert same_client.get("/api/batches", headers=headers).status_code == 200


def test_each_role_may_call_what_the_table_says(same_client: ApiClient) -> None:
    """Contract 5: viewer reads; operator also creates and acts; worker leases and reports; admin may do everything."""
    for role in ROLES:
        caller = same_client.acting_as(role)
        for call in CALLS:
            answer = call.make(caller)
            if role in call.roles:
                assert answer.status_code in (200, 201, 404), f"{role} {call}: {answer.status}"
            else:
                assert refused(answer, 403)["code"] == "forbidden", f"{role} {call}"


def test_403_comes_before_every_other_refusal(same_client: ApiClient) -> None:
    """Contract 5: 403 with the wrong role, for any body."""
    for call in WITH_BODY:
        for role in set(ROLES) - call.roles:
            refused(call.make(same_client.acting_as(role), data=b"{", content_type=JSON), 403)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_415_another_content_type(same_client: ApiClient, content_type: str | None) -> None:
    """Contract 5: not JSON is 400 or 415."""
    for call in WITH_BODY:
        refused(call.make(same_client, data=b'{"a": 1}', content_type=content_type), 415)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"a": 1} x', b"\xff\xfe", b"NaN", b'{"a": "\\ud800"}', b'{"a": 1e999}', b"[" * 100_000, b"\0"],
    ids=range(9),
)
def test_400_what_is_not_json(same_client: ApiClient, data: bytes) -> None:
    """Contract 5: not JSON is 400 or 415; half a surrogate pair, infinity and deep nesting are not JSON."""
    for call in WITH_BODY:
        refused(call.make(same_client, data=data, content_type=JSON), 400)


@pytest.mark.parametrize("data", [b"[]", b'"x"', b"1", b"null", b"true", b"[{}]"])
def test_422_json_of_another_type(same_client: ApiClient, data: bytes) -> None:
    """Contract 5: a bad body is 422."""
    for call in WITH_BODY:
        refused(call.make(same_client, data=data, content_type=JSON), 422)


def test_422_an_unknown_field_is_refused_by_name(same_client: ApiClient) -> None:
    """Contract 5: unknown fields are refused."""
    for call in WITH_BODY:
        body = refused(call.make(same_client, json={**(call.body or {}), "surprise": 1}), 422)
        assert "surprise" in body["errors"], call


def test_422_an_unknown_query_parameter_of_a_list(same_client: ApiClient) -> None:
    """Contract 5: unknown fields are refused, in queries too."""
    for call in LISTS:
        refused(same_client.get(f"{call.address}?surprise=1"), 422)


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "", "1.5", "9" * 5000, "%00"])
def test_422_a_limit_outside_1_to_200(same_client: ApiClient, limit: str) -> None:
    """Contract 5: `?limit=` is 1..200."""
    for call in LISTS:
        refused(same_client.get(f"{call.address}?limit={limit}"), 422)


@pytest.mark.parametrize("cursor", ["x", "-1", "", "1.5", "9" * 30, "%00", "%ed%a0%80"])
def test_422_an_invalid_cursor(same_client: ApiClient, cursor: str) -> None:
    """Contract 5: lists have cursor pagination."""
    for call in LISTS:
        refused(same_client.get(f"{call.address}?cursor={cursor}"), 422)


@pytest.mark.parametrize(
    "ident",
    [UNKNOWN, 0, 2**31, 2**63 - 1, 2**63, 10**40, -1, "text", "1.5", "%00", "1%00", "%ed%a0%80", "\u0661", "1" * 2000],
)
def test_404_an_unknown_id(same_client: ApiClient, ident: object) -> None:
    """Contract 5: an unknown id is 404, and so is any text in its place."""
    for call in WITH_ID:
        more = {"json": call.body} if call.body is not None else {}
        answer = same_client.open(at(call.path, ident), method=call.method, **more)
        refused(answer, 404)


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api/batches/1/nothing", "/nothing", "/api/docs/assets/x"])
def test_404_an_unknown_path(same_client: ApiClient, path: str) -> None:
    """Contract 5: errors are problems, also on unknown paths."""
    refused(same_client.get(path), 404)


def test_405_a_method_that_a_path_does_not_have(same_client: ApiClient, same_app: Flask) -> None:
    """Contract 5: errors are problems; RFC 9110: a 405 lists the methods that the path has."""
    served = routes_of(same_app)
    for path in {path for _, path in served if path.startswith("/api/") or path in ("/healthz", "/readyz", "/metrics")}:
        has = {method for method, each in served if each == path}
        address = at(path, UNKNOWN).replace("{name}", "swagger-ui.css")
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "PURGE"} - has:
            answer = same_client.open(address, method=method)
            refused(answer, 405)
            listed = {each.strip() for each in answer.headers["Allow"].split(",")}
            assert has == listed - {"HEAD", "OPTIONS"}, path


def test_options_lists_the_methods_of_the_document(same_client: ApiClient) -> None:
    """RFC 9110: OPTIONS lists the methods that a path has; the OpenAPI document has the same ones."""
    for path, item in same_client.get("/api/openapi.json").json["paths"].items():
        documented = {method.upper() for method in item if method != "parameters"}
        answer = same_client.open(at(path, UNKNOWN), method="OPTIONS")
        assert answer.status_code == 200
        assert {each.strip() for each in answer.headers["Allow"].split(",")} - {"HEAD", "OPTIONS"} == documented, path


def test_every_answer_names_its_request(same_client: ApiClient) -> None:
    """Contract 5: an audit row has a `request_id`; it is the X-Request-Id of the answer, the caller's own if given."""
    assert same_client.get("/api/batches", headers={"X-Request-Id": "mine.1"}).headers["X-Request-Id"] == "mine.1"
    for nonsense in ("two words", "x" * 65, "\xe9"):
        given = same_client.get("/api/batches", headers={"X-Request-Id": nonsense}).headers["X-Request-Id"]
        assert re.fullmatch(r"[0-9a-f]{32}", given)


class TestTooLarge:
    """Contract 5: too large is 413."""

    @pytest.fixture
    def small(self, config: Config, tokens: dict[str, str]) -> Iterator[ApiClient]:
        made = create_app(replace(config, max_body_bytes=4096, max_jsonl_bytes=4096))
        yield api_client(made, tokens)
        made.extensions["interlock"].engine.dispose()

    def test_413_a_body_above_the_limit(self, small: ApiClient) -> None:
        """Contract 5: too large is 413, on every call with a body."""
        for call in WITH_BODY:
            refused(call.make(small, data=b'{"x": "' + b"x" * 5000 + b'"}', content_type=JSON), 413)

    def test_413_with_an_idempotency_key(self, small: ApiClient) -> None:
        """Contract 4: with a key the body is read before the view; too large stays 413."""
        for number, call in enumerate(WITH_BODY):
            if call.method == "POST":
                headers = {"Idempotency-Key": f"k{number}"}
                refused(call.make(small, data=b"x" * 5000, content_type=JSON, headers=headers), 413)

    def test_413_a_body_without_a_length(self, small: ApiClient) -> None:
        """Contract 5: a chunked body has no length in advance, and is refused as well."""
        for call in WITH_BODY:
            answer = call.make(
                small,
                data=io.BytesIO(b'{"x": "' + b"x" * 5000 + b'"}'),
                content_type=JSON,
                environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
            )
            refused(answer, 413)

    @pytest.mark.parametrize("content_type", ["application/jsonl", "multipart/form-data; boundary=b"])
    def test_413_files_above_the_limit(self, small: ApiClient, content_type: str) -> None:
        """Contract 5: too large is 413, for lines and files too."""
        path = "/api/batches?name=x" if "jsonl" in content_type else f"/api/batches/{UNKNOWN}/documents"
        refused(small.post(path, data=b"--b\r\n" + b"x" * 5000, content_type=content_type), 413)
