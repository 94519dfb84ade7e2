"""Answers that reached the limit of their tokens: shown as such, never reused, or failed where the batch says so."""

import csv
import io
from typing import Any

from tests.edges.answers_of_servers import COST, FINE, USAGE, chat
from tests.edges.conftest import Edge
from tests.edges.scripted_server import Reply
from tests.support.waiting import LIMIT_SECONDS

CUT = Reply(chat("Two and two is", "length"))


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["custom_id"] or row["document"]["name"]: row for row in rows}


def test_it_is_kept_and_shown_as_truncated_and_not_reused(edge: Edge) -> None:
    edge.models.replies |= {"whole": [FINE], "cut": [CUT]}
    batch = edge.batch(["whole", "cut"])
    shown = batch.reach("COMPLETED")
    assert shown["options"]["on_truncated"] == "keep"
    assert (shown["progress"]["analysis"]["completed"], shown["progress"]["analysis"]["truncated"]) == (2, 1)
    rows = by_name(batch.results())
    assert (rows["cut"]["status"], rows["cut"]["result"]["text"]) == ("COMPLETED", "Two and two is")
    assert (rows["cut"]["truncated"], rows["whole"]["truncated"]) == (True, False)
    text = edge.http.get(f"{batch.url}/report?format=csv", timeout=LIMIT_SECONDS).text
    assert {row["document"]: row["truncated"] for row in csv.DictReader(io.StringIO(text))} == {
        "whole": "false",
        "cut": "true",
    }
    tasks = {row["document"]["name"]: row for row in batch.list_all("tasks") if row["kind"] == "ANALYZE"}
    assert (tasks["cut"]["truncated"], tasks["whole"]["truncated"]) == (True, False)

    edge.models.replies["cut"] = [FINE]
    batch.ask("restage")
    batch.reach("STAGED")
    batch.ask("run")
    assert batch.reach("COMPLETED")["progress"]["analysis"]["truncated"] == 0
    assert (edge.models.calls["whole"], edge.models.calls["cut"]) == (1, 2)
    assert by_name(batch.results())["cut"]["result"]["text"] == "Four."


def test_it_fails_once_where_the_batch_says_so(edge: Edge) -> None:
    edge.models.replies |= {"whole one": [FINE], "cut for good": [CUT]}
    batch = edge.batch(["whole one", "cut for good"], options={"on_truncated": "fail"})
    shown = batch.reach("COMPLETED")
    assert (shown["progress"]["analysis"]["failed"], shown["progress"]["analysis"]["truncated"]) == (1, 0)
    row = by_name(batch.results())["cut for good"]
    assert (row["status"], row["error"]["code"], row["attempt"]) == ("FAILED", "truncated", 1)
    assert "limit" in row["error"]["message"]
    assert edge.models.calls["cut for good"] == 1
    assert row["usage"]["cost"] == COST


def test_lines_of_every_endpoint_are_seen_to_be_cut(edge: Edge) -> None:
    response = {
        "id": "resp_1",
        "object": "response",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Two and"}]}],
        "usage": {"input_tokens": 10, "output_tokens": 20},
    }
    completion = {"choices": [{"index": 0, "text": " two", "finish_reason": "length"}], "usage": USAGE}
    edge.models.replies |= {"cut chat": [CUT], "cut response": [Reply(response)], "cut completion": [Reply(completion)]}
    paths = {"cut chat": "chat/completions", "cut response": "responses", "cut completion": "completions"}
    lines = [
        {"custom_id": name, "method": "POST", "url": f"/v1/{path}", "body": {"model": "m", "input": f"<<{name}>>"}}
        for name, path in paths.items()
    ]
    batch = edge.lines(lines)
    assert batch.reach("COMPLETED")["progress"]["analysis"]["truncated"] == 3
    assert {row["truncated"] for row in batch.results()} == {True}
