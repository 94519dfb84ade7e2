"""Values that break databases and encoders: NUL, unusual characters, large numbers, booleans, deep nesting.

Each is refused with a 4xx or stored and given back as it was: never a 5xx.
"""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.lives import ask, audit, bring, complete, create, fail, lease, refused, show
from tests.support.client import ApiClient

NUL = "a\0b"
# Beyond the BMP, right to left, combining, the ends of ranges, line separators, a BOM, and what looks like escapes.
STRANGE = "\U0001f600 \u202eabc e\u0301 \uffff\ufdd0\ufeff\u2028 \x01\x7f\\u0000 %00 ' \" ; -- <script>"


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(depth):
        made = {"a": made}
    return made


CREATE = {
    "name": "n",
    "description": "d",
    "documents": [{"name": "a.txt", "text": "x", "media_type": "text/plain"}],
    "prompts": [{"name": "p", "text": "t"}],
    "models": [{"connection": "c", "model": "m"}],
}
TEXTS = [
    ("name",),
    ("description",),
    ("documents", 0, "name"),
    ("documents", 0, "text"),
    ("documents", 0, "media_type"),
    ("prompts", 0, "name"),
    ("prompts", 0, "text"),
    ("models", 0, "connection"),
    ("models", 0, "model"),
]


def with_value(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The create body with another value at `path`."""

    def put(into: Any, rest: tuple[Any, ...]) -> Any:
        if not rest:
            return value
        if isinstance(into, list):
            return [put(into[0], rest[1:])]
        return {**into, rest[0]: put(into[rest[0]], rest[1:])}

    made: dict[str, Any] = put(CREATE, path)
    return made


def test_no_text_of_a_batch_may_hold_nul(client: ApiClient) -> None:
    """Contract 5: a bad body is 422; a database cannot store U+0000."""
    for path in TEXTS:
        refused(client.post("/api/batches", json=with_value(path, NUL)), 422)
    assert client.get("/api/batches").json["batches"] == []


def test_every_text_of_a_batch_may_have_all_other_characters(client: ApiClient) -> None:
    """Contract 5: JSON in, JSON out, UTF-8."""
    for path in TEXTS:
        made = client.post("/api/batches", json=with_value(path, STRANGE))
        assert made.status_code == 201, path
    assert show(client, client.get("/api/batches").json["batches"][-1]["id"])["name"] == STRANGE


@pytest.mark.parametrize("value", [1, True, None, [], {}, 1.5])
def test_a_text_is_a_text(same_client: ApiClient, value: Any) -> None:
    """Contract 5: a field of a wrong type is 422; `description` alone may be null."""
    for path in TEXTS:
        if (path, value) != (("description",), None):
            refused(same_client.post("/api/batches", json=with_value(path, value)), 422)


NUMBERS = {
    "max_attempts": (1, 100),
    "lease_seconds": (1, 86_400),
    "max_failed_tasks": (0, 2**31 - 1),
    "priority": (0, 9),
    "staging_timeout_seconds": (1, 2**31 - 1),
}


@pytest.mark.parametrize("option", NUMBERS)
def test_options_take_their_range_and_nothing_that_looks_like_a_number(same_client: ApiClient, option: str) -> None:
    """Contract 5: options are whole numbers; booleans, texts, fractions and infinite numbers are refused."""
    least, most = NUMBERS[option]
    for good in (least, most):
        made = same_client.post("/api/batches", json={"name": "n", "options": {option: good}})
        assert made.status_code == 201
        assert made.json["options"][option] == good
    for bad in (least - 1, most + 1, True, False, "1", 1.5, 1.0, 10**30, -(10**30), 2**63, [], {}):
        body = refused(same_client.post("/api/batches", json={"name": "n", "options": {option: bad}}), 422)
        assert option in body["errors"]["options"], bad


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("max_tasks", [0, 1001, True, "1", 1.5, 10**30, None]),
        ("lease_seconds", [0, -1, True, "60", 86_401, 10**30]),
        ("wait_seconds", [-1, 31, True, "1", 10**30, None]),
        ("batch_id", [0, -1, True, "7", 2**63, 10**30]),
        ("worker", ["", "x" * 201, NUL, 1, None]),
    ],
)
def test_a_lease_takes_numbers_only(same_client: ApiClient, field: str, bad: list[Any]) -> None:
    """Contract 5: `max_tasks` is 1..1000, `wait_seconds` 0..30; text that looks like a number is refused."""
    for value in bad:
        body = refused(same_client.post("/api/tasks/lease", json={"worker": "w", field: value}), 422)
        assert field in body["errors"], value


@pytest.mark.parametrize("bad", [-1, True, "1", 86_401, 10**30, [], {}])
def test_retry_after_seconds_is_a_number(same_client: ApiClient, bad: Any) -> None:
    """Contract 5: `retry_after_seconds` is a number of seconds."""
    body = {"lease_token": "t", "error": {"code": "c", "message": "m"}, "retry_after_seconds": bad}
    assert "retry_after_seconds" in refused(same_client.post("/api/tasks/1/fail", json=body), 422)["errors"]


@pytest.mark.parametrize("flag", ["retryable", "critical"])
@pytest.mark.parametrize("bad", [0, 1, "true", "yes", None, [], {}])
def test_a_flag_is_true_or_false(same_client: ApiClient, flag: str, bad: Any) -> None:
    """Contract 5: `retryable` and `critical` are true or false, and no text that looks like it."""
    body = {"lease_token": "t", "error": {"code": "c", "message": "m"}, flag: bad}
    assert flag in refused(same_client.post("/api/tasks/1/fail", json=body), 422)["errors"]


@pytest.mark.parametrize("path", ["tasks/a%00b", "requests/a%00b", "requests/%ed%a0%80", "requests/\U0001f600"])
def test_nul_in_an_id_of_text_is_404(same_client: ApiClient, path: str) -> None:
    """Contract 5: an unknown id is 404, with or without NUL."""
    refused(same_client.get(f"/api/{path}"), 404)


@pytest.mark.parametrize("name", ["%00", "a%00b"])
def test_nul_in_a_filter_is_422(same_client: ApiClient, name: str) -> None:
    """Contract 5: a filter that no name can match is refused like the name itself."""
    refused(same_client.get(f"/api/batches?name={name}"), 422)


@pytest.mark.parametrize("name", ["%ed%a0%80", "%ff", "%25_%25", "%5c", "%F0%9F%98%80", "'"])
def test_a_filter_matches_every_other_character(client: ApiClient, name: str) -> None:
    """Contract 5: `?name=` filters; wildcards of SQL are ordinary characters."""
    create(client, name="contracts")
    assert client.get(f"/api/batches?name={name}").json["batches"] == []


class TestWhatWorkersSay:
    """A worker's texts are stored as JSON, which allows U+0000: they are stored unchanged."""

    def test_nul_in_a_result(self, same_client: ApiClient) -> None:
        """Contract 5: a result is any object."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        result = {"text": NUL, NUL: STRANGE, "n": [2**63, -(2**63), 1e300, None, True]}
        assert complete(same_client, task, result).status_code == 200
        assert same_client.get(f"/api/tasks/{task['id']}").json["result"] == result
        assert same_client.get(f"/api/batches/{batch['id']}/results").status_code == 200

    def test_nul_in_a_staged_text_reaches_the_prompt(self, same_client: ApiClient) -> None:
        """Contract 5: a STAGE result's text is rendered into the prompt, whatever characters it has."""
        batch = bring(same_client, "STAGING", documents=1)
        assert complete(same_client, lease(same_client, batch["id"])[0], {"text": NUL + STRANGE}).status_code == 200
        assert ask(same_client, batch["id"], "run").status_code == 200
        message = lease(same_client, batch["id"])[0]["payload"]["messages"][0]["content"]
        assert NUL + STRANGE in message

    def test_nul_in_an_error_that_fails_the_batch(self, same_client: ApiClient) -> None:
        """Contract 5: an error's message goes into the batch's failure; it must not stop the batch from failing."""
        batch = bring(same_client, "ANALYZING", documents=1)
        error = {"code": "boom", "message": f"bad byte {NUL} {STRANGE}"}
        answer = fail(same_client, lease(same_client, batch["id"])[0], error=error, critical=True)
        assert answer.status_code in (200, 422)
        if answer.status_code == 200:
            assert answer.json["batch_state"] == "FAILED"
            assert show(same_client, batch["id"])["failure"]["code"] == "critical_error"

    def test_nul_in_a_staging_error_that_fails_the_batch(self, same_client: ApiClient) -> None:
        """Contract 2: a FAILED staging task fails the batch, whatever its message is."""
        batch = bring(same_client, "STAGING", documents=1)
        error = {"code": "unreadable", "message": NUL}
        answer = fail(same_client, lease(same_client, batch["id"])[0], error=error, retryable=False)
        assert answer.status_code in (200, 422)
        if answer.status_code == 200:
            assert answer.json["batch_state"] == "FAILED"

    def test_nul_in_a_token_is_no_token(self, same_client: ApiClient) -> None:
        """Contract 5: an unknown lease token is 409."""
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        refused(complete(same_client, {**task, "lease_token": task["lease_token"] + "\0"}), 409)
        refused(complete(same_client, {**task, "id": "\u0661"}), 404)


def odd_results(value: Any) -> list[dict[str, Any]]:
    """Results of which one field that the service reads has an odd value."""
    names = (
        "text",
        "finish_reason",
        "usage",
        "metadata",
        "body",
        "document_cut",
        "documents",
        "parts",
        "json",
        "score",
    )
    bodies = [
        {"incomplete_details": {"reason": value}},
        {"incomplete_details": value},
        {"choices": [{"finish_reason": value, "message": value}, value]},
        {"choices": value, "output": value, "usage": value},
    ]
    in_a_usage = [{"usage": {name: value}} for name in ("input_tokens", "output_tokens", "cost", "latency_ms")]
    of_lines = [{"status_code": 200, "request_id": value, "body": body} for body in bodies]
    return [*({name: value} for name in names), *({"body": body} for body in bodies), *of_lines, *in_a_usage]


def complete_together(client: ApiClient, tasks: list[Any], results: list[dict[str, Any]]) -> TestResponse:
    """Report leased tasks completed, in one call."""
    reports = [
        {"task_id": task["id"], "lease_token": task["lease_token"], "outcome": "completed", "result": result}
        for task, result in zip(tasks, results, strict=True)
    ]
    return client.post("/api/tasks/report", json={"reports": reports})


@pytest.mark.parametrize("value", [[], {}, [[]], {"a": {}}, 1, -1.5, True, None, "", "length"], ids=repr)
@pytest.mark.parametrize("state", ["STAGING", "ANALYZING"])
class TestOddValues:
    """Contract 5: a result is any object. One that is odd spoils no other report of the same call."""

    def test_in_a_result(self, same_client: ApiClient, state: str, value: Any) -> None:
        results = odd_results(value)
        batch = bring(same_client, state, documents=len(results))
        tasks = lease(same_client, batch["id"], max_tasks=len(results))
        answer = complete_together(same_client, tasks, results)
        assert answer.status_code == 200
        assert {each["status"] for each in answer.json["reports"]} == {200}
        self.look(same_client, batch["id"], tasks)

    def test_in_an_error(self, same_client: ApiClient, state: str, value: Any) -> None:
        errors = [{"code": value}, {"code": "c", "message": value}, {"code": "c", "message": "m", "usage": value}]
        batch = bring(same_client, state, documents=len(errors), options={"on_unreadable": "skip"})
        tasks = lease(same_client, batch["id"], max_tasks=len(errors))
        for task, error in zip(tasks, errors, strict=True):
            answer = fail(same_client, task, error=error, retryable=False)
            assert answer.status_code in (200, 409, 422), answer.data
        self.look(same_client, batch["id"], tasks)

    def look(self, client: ApiClient, batch_id: int, tasks: list[Any]) -> None:
        shown = [f"/api/batches/{batch_id}{path}" for path in ("", "/tasks", "/results", "/audit")]
        shown += [f"/api/tasks/{task['id']}" for task in tasks]
        assert {client.get(path).status_code for path in shown} == {200}


class TestDeepNesting:
    """JSON that is nested too deeply to be written again is refused: otherwise a later answer would fail with 500."""

    @pytest.mark.parametrize("depth", [100, 230, 250, 300, 500, 1000, 2000])
    def test_in_every_field_that_is_any_object(self, same_client: ApiClient, depth: int) -> None:
        """Contract 5: a bad body is 4xx; one that is accepted is shown."""
        deep = nested(depth)
        batch = bring(same_client, "ANALYZING", documents=1)
        task = lease(same_client, batch["id"])[0]
        text = "x" + "{" * 10
        calls = [
            ("/api/batches", {**CREATE, "models": [{"connection": "c", "model": "m", "params": deep}]}),
            (f"/api/batches/{batch['id']}/action", {"action": "pause", "context": {"deep": deep}}),
            (f"/api/tasks/{task['id']}/fail", {"lease_token": text, "error": {"code": "c", "message": "", "x": deep}}),
            (f"/api/tasks/{task['id']}/complete", {"lease_token": task["lease_token"], "result": deep}),
        ]
        statuses = [same_client.post(path, data=_json(body), content_type="application/json") for path, body in calls]
        assert all(answer.status_code in (200, 201, 400, 409, 422) for answer in statuses), [s.data for s in statuses]
        shown = [f"/api/batches/{batch['id']}/audit", f"/api/tasks/{task['id']}", f"/api/batches/{batch['id']}/results"]
        assert {same_client.get(path).status_code for path in shown} == {200}
        if depth <= 230:  # realistic nesting is accepted
            assert [answer.status_code for answer in statuses] == [201, 200, 409, 200]

    def test_in_a_ready_made_task(self, same_client: ApiClient) -> None:
        """Contract 5: a bad line is named by its number."""
        line = b'{"custom_id": "%s", "method": "POST", "url": "/v1/responses", "body": %s}\n'
        lines = line % (b"a", b"{}") + line % (b"b", _json(nested(400)))
        answer = same_client.post("/api/batches?name=deep", data=lines, content_type="application/jsonl")
        assert "line 2" in refused(answer, 422)["errors"]


def _json(value: Any) -> bytes:
    """Write JSON of any depth: the usual writers stop earlier."""
    if isinstance(value, dict):
        inner, depth = value, 0
        while set(inner) == {"a"}:
            inner, depth = inner["a"], depth + 1
        if depth:
            return b'{"a":' * depth + _json(inner) + b"}" * depth
        return b"{" + b",".join(_json(key) + b":" + _json(each) for key, each in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(_json(each) for each in value) + b"]"
    import json

    return json.dumps(value).encode()


def test_an_audit_row_shows_a_context_of_odd_characters(same_client: ApiClient) -> None:
    """Contract 5: the whole context goes into the audit row."""
    batch = bring(same_client, "STAGED", documents=1)
    context = {"reason": STRANGE, NUL: NUL, "n": 2**63}
    assert ask(same_client, batch["id"], "run", context=context).status_code == 200
    row = audit(same_client, batch["id"])[-1]
    assert (row["reason"], row["context"]) == (STRANGE, context)


@pytest.mark.parametrize("reason", [NUL, 1, True, [], {}])
def test_a_reason_is_a_text_without_nul(same_client: ApiClient, reason: Any) -> None:
    """Contract 5: the context's `reason` goes into the audit row's `reason`, which is text."""
    batch = create(same_client)
    assert "context" in refused(ask(same_client, batch["id"], "stage", context={"reason": reason}), 422)["errors"]
    assert show(same_client, batch["id"])["version"] == 1
