"""The demo: sends the sample documents through stage and run to the end, and prints results and audit trail.

An HTTP client like any other. It may be killed and started again at any point: a demo batch that has not ended is found
by its name and continued. What to ask for next follows from what the batch allows, so nothing is asked for twice.
"""

import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import requests
import stamina
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

SAMPLES = Path(__file__).parents[1] / "samples"
NAME = "Interlock demo: letters, minutes and clauses"
PROMPTS = [
    {"name": "summary", "text": "{document}\n\nSummarise this in one sentence."},
    {"name": "reading ease", "text": "{document}\n\nHow easy is this to read?"},
]
MODELS = [{"connection": "local", "model": "textstats", "params": {}}]
MEDIA_TYPES = {".md": "text/markdown", ".txt": "text/plain"}
FORWARD = ("stage", "run")  # what the demo asks for, as soon as it is allowed
POLL_SECONDS = 0.2
OPTIONS = {"lease_seconds": 20}  # what a killed worker held comes back soon
STILL_SECONDS = 60.0  # without any change, before the demo gives up waiting; longer than a lease
TOTAL_SECONDS = 15 * 60.0
LINE_SECONDS = 5.0  # between two lines of progress where there is no terminal
ROWS = 8
CALL_SECONDS = 30.0  # for one call with all its repetitions
TRY_AGAIN = {429, 502, 503, 504}


class DemoFailed(Exception):
    """What went wrong, as a sentence for whoever started the demo."""


class NoAnswer(Exception):
    """The service did not answer, or asked to come back."""


class Api:
    """The calls of the demo. A call that gets no answer is repeated; a POST carries a key, so that it counts once."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()
        self._session.auth = self._sign

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._session.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._call("GET", path, params=query).json()

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        """POST JSON; a refusal is answered, not raised."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return self._call("POST", path, refusals={409}, json=body, headers=key)

    def lines(self, path: str) -> Iterator[dict[str, Any]]:
        for line in self._call("GET", path).content.splitlines():
            yield orjson.loads(line)

    def _call(self, method: str, path: str, refusals: Collection[int] = (), **more: Any) -> requests.Response:
        ask = stamina.RetryingCaller(attempts=None, timeout=CALL_SECONDS, wait_max=2.0)
        try:
            response = ask(NoAnswer, self._once, method, path, **more)
        except NoAnswer as error:
            raise DemoFailed(f"The service at {self.url} does not answer: {error}.") from error
        if response.ok or response.status_code in refusals:
            return response
        raise DemoFailed(f"The service at {self.url} says no ({response.status_code}): {_detail(response)}")

    def _once(self, method: str, path: str, **more: Any) -> requests.Response:
        try:
            response = self._session.request(method, self.url + path, timeout=(5, 15), **more)
        except requests.RequestException as error:
            raise NoAnswer(type(error).__name__) from error
        if response.status_code in TRY_AGAIN or b"idempotency_key_in_use" in response.content[:1000]:
            raise NoAnswer(_detail(response))
        return response


def _detail(response: requests.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason}"


def demo(url: str, token: str, console: Console) -> int:
    """See a batch through and print what came of it. Returns 0, or 1 with a sentence that says what went wrong."""
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        with Api(url, token) as api:
            batch = see_through(api, find_or_create(api, console), console)
            complete = print_results(api, batch, console)
            print_audit(api, batch["id"], console)
            return 0 if complete else 1
    except DemoFailed as failure:
        console.print(Text(str(failure), style="bold red"))
    except KeyboardInterrupt:
        console.print("Stopped. The batch goes on by itself where it can; start the demo again to continue it.")
    return 1


def documents() -> list[dict[str, str]]:
    """Read the samples as documents of a batch."""
    paths = sorted(path for path in SAMPLES.glob("*") if path.suffix in MEDIA_TYPES)
    if not paths:
        raise DemoFailed(f"There are no sample documents in {SAMPLES}.")
    return [
        {"name": path.name, "media_type": MEDIA_TYPES[path.suffix], "text": path.read_text(encoding="utf-8")}
        for path in paths
    ]


def find_or_create(api: Api, console: Console) -> dict[str, Any]:
    """Find the newest demo batch that has not ended, or create one."""
    for batch in api.get("/api/batches", name=NAME, limit=200)["batches"]:
        if batch["name"] == NAME and not batch["finished_at"]:
            console.print(f"Continuing batch {batch['id']}, which is {batch['state']}.")
            if "resume" in batch["allowed_actions"]:
                ask(api, batch, "resume", console)
            return dict(batch)
    body = {"name": NAME, "documents": documents(), "prompts": PROMPTS, "models": MODELS, "options": OPTIONS}
    batch = dict(api.post("/api/batches", body).json())
    console.print(
        f"Batch {batch['id']} is created: {len(body['documents'])} documents x {len(PROMPTS)} prompts "
        f"x {len(MODELS)} model. Watch it at {api.url}/ meanwhile."
    )
    return batch


def ask(api: Api, batch: dict[str, Any], action: str, console: Console) -> None:
    """Ask for an action. A refusal means that the batch has moved meanwhile; the next look shows where to."""
    context = {"reason": "the demo"}
    answer = api.post(f"/api/batches/{batch['id']}/action", {"action": action, "context": context})
    said = {200: "done", 202: "queued: somebody else holds the batch"}.get(answer.status_code)
    console.print(Text(f"{action}: {said or _detail(answer)}"))


def see_through(api: Api, batch: dict[str, Any], console: Console) -> dict[str, Any]:
    """Ask for what comes next and wait, until the batch has ended. Raises DemoFailed where it does not get there."""
    started_at = changed_at = time.monotonic()
    seen: tuple[Any, ...] = ()
    asked_version = 0
    with Shown(console) as shown:
        while True:
            batch = api.get(f"/api/batches/{batch['id']}")
            shown.show(batch)
            if batch["finished_at"]:
                break
            now, standing = time.monotonic(), (batch["version"], batch["progress"])
            if standing != seen:
                seen, changed_at = standing, now
            action = next((action for action in FORWARD if action in batch["allowed_actions"]), None)
            if action and batch["version"] != asked_version:
                asked_version = batch["version"]
                ask(api, batch, action, console)
            if now - changed_at > STILL_SECONDS or now - started_at > TOTAL_SECONDS:
                raise DemoFailed(why_still(api, batch))
            time.sleep(POLL_SECONDS)
    if failure := batch["failure"]:
        raise DemoFailed(f"Batch {batch['id']} is {batch['state']}: {failure['message']} ({failure['code']})")
    return dict(batch)


def why_still(api: Api, batch: dict[str, Any]) -> str:
    """Say why nothing moves, as far as can be told from outside."""
    told = f"Batch {batch['id']} is {batch['state']}, and nothing has changed for too long."
    if "resume" in batch["allowed_actions"]:
        return f"{told} Somebody has paused it: start the demo again to resume it."
    if batch["progress"]["analysis"].get("leased"):
        return f"{told} A worker holds tasks of it and does not report; its log may say why."
    return f"{told} No worker seems to be running: start one with `python -m app.worker --url {api.url}`."


class Shown:
    """Progress as two bars on a terminal; elsewhere as a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bars: dict[str, TaskID] = {}
        self._told: tuple[str, float] = ("", 0.0)

    def __enter__(self) -> "Shown":
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def show(self, batch: dict[str, Any]) -> None:
        counts = {
            phase: (counted["completed"] + counted["failed"], counted["total"])
            for phase, counted in batch["progress"].items()
            if counted["total"]
        }
        for phase, (done, total) in counts.items():
            if phase not in self._bars:
                self._bars[phase] = self._progress.add_task(phase)
            self._progress.update(self._bars[phase], completed=done, total=total)
        state, told_at = self._told
        if not self._console.is_terminal and (state != batch["state"] or time.monotonic() - told_at > LINE_SECONDS):
            self._told = (batch["state"], time.monotonic())
            told = ", ".join(f"{phase} {done}/{total}" for phase, (done, total) in counts.items())
            self._console.print(f"{batch['state']}: {told or 'nothing to do yet'}", soft_wrap=True)


def print_results(api: Api, batch: dict[str, Any], console: Console) -> bool:
    """Print the first results and how many there are; return whether each task has exactly one."""
    lines = list(api.lines(f"/api/batches/{batch['id']}/results"))
    table = Table("document", "prompt", "answer", title=f"Results of batch {batch['id']}")
    for line in lines[:ROWS]:
        answer = (line["result"] or {}).get("text") or (line["error"] or {}).get("message") or ""
        table.add_row(*(Text(str(cell)) for cell in ((line["document"] or {}).get("name"), line["prompt"], answer)))
    console.print(table)
    more = len(lines) - ROWS
    wanted: int = batch["progress"]["analysis"]["total"]
    once = len(lines) == len({line["task_id"] for line in lines}) == wanted
    console.print(f"{f'... and {more} more: ' if more > 0 else ''}{len(lines)} results for {wanted} tasks.")
    return once


def print_audit(api: Api, batch_id: int, console: Console) -> None:
    """Print every change of the batch, oldest first."""
    table = Table("version", "trigger", "from", "to", "actor", "at", title="Audit trail")
    cursor = None
    while True:
        page = api.get(f"/api/batches/{batch_id}/audit", limit=200, **({"cursor": cursor} if cursor else {}))
        for row in page["audit"]:
            cells = (row["version"], row["trigger"], row["from_state"] or "", row["to_state"], row["actor"], row["at"])
            table.add_row(*(Text(str(cell)) for cell in cells))
        if not (cursor := page["next_cursor"]):
            break
    console.print(table)
