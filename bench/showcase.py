"""Batches for the pictures of the pages: documents, answers, failures and costs as they look in real work.

Acts as operators and workers of a running service, over its API. Answers are made from the documents, so that two
models agree on some and differ on others. Longer than 300 lines: a third of them are texts.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import requests

from tests.support.server import LiveServer

ONE_SENTENCE = "Summarise the document in one sentence, in English.\n\n{document}"
CLASSIFY = "Classify this letter to a property manager. Answer in JSON.\n\n{document}"
MEMO = "You are a careful paralegal. Write a memo about the document {name}: summary, duties, risks.\n\n{document}"
SCHEMA = {
    "type": "object",
    "required": ["category", "urgency", "score", "parties"],
    "properties": {
        "category": {"enum": ["repair", "complaint", "payment", "notice", "contract", "other"]},
        "urgency": {"type": "integer"},
        "score": {"type": "number"},
        "parties": {"type": "string"},
    },
}
LETTERS = {
    "acta-comunidad.md": ("The owners ask that no bicycles be left in the stairwell", "complaint", "owners, community"),
    "avviso-condominio.txt": (
        "The water returns on Tuesday; tenants should let it run for two minutes",
        "notice",
        "tenants",
    ),
    "boiler-flat-3b.txt": ("The boiler in flat 3B has failed for the third time since October", "repair", "tenant 3B"),
    "contract-liability-clause.txt": (
        "Neither party is liable for loss of profit or of goodwill",
        "contract",
        "both parties",
    ),
    "damp-bathroom.eml": (
        "Mould behind the bathroom tiles was reported twice without an answer",
        "repair",
        "Ms Okafor",
    ),
    "deposit-return.txt": (
        "The tenant asks for the deposit of 1,450 that was due on 1 March",
        "payment",
        "J. Lindqvist",
    ),
    "garage-door.txt": ("The garage door stays open at night and two bicycles were stolen", "repair", "house 12"),
    "heating-bill-2025.pdf": ("The heating bill counts 14 months and asks for 312.40 too much", "payment", "K. Novák"),
    "invoice-0007.txt": ("An invoice for the lift's inspection, payable within 30 days", "payment", "Lift GmbH"),
    "keys-lost.txt": ("A tenant lost the keys of the house and asks who pays for the locks", "other", "M. Haddad"),
    "lease-renewal.docx": ("The lease is renewed for two years at an indexed rent", "contract", "A. Petrov"),
    "neighbour-noise.txt": (
        "The flat above holds parties on weekdays until three in the morning",
        "complaint",
        "flat 4A",
    ),
    "parking-space-17.txt": ("Space 17 has been taken by a stranger's van since Monday", "complaint", "L. Moreau"),
    "rent-reduction.md": ("The tenant reduces the rent by 15 % until the scaffolding is gone", "payment", "S. Yilmaz"),
    "roof-inspection.pdf": ("Four tiles are broken and water reaches the rafters in heavy rain", "repair", "Dach AG"),
    "sublet-request.eml": ("The tenant asks to sublet one room from June to August", "other", "C. Rossi"),
    "termination.txt": (
        "The tenant ends the lease on 30 September and asks for a handover date",
        "notice",
        "P. Nilsen",
    ),
    "ticket-88002.txt": ("Complaints have to be raised within fourteen days of the delivery", "complaint", "buyer"),
}
PRICES = {"gpt-4o": 0.0061, "llama-3.3-70b": 0.0004, "claude-opus": 0.0087}
MILLISECONDS = {"gpt-4o": 459, "llama-3.3-70b": 3200, "claude-opus": 2100}
TOO_LONG = {
    "code": "request_refused",
    "message": "openai answers 400: maximum context length is 8192 tokens, yours has {n}",
}
BUSY = {"code": "server_error", "message": "openai answers 503: the engine is overloaded, please try again later"}
Answer = Callable[[dict[str, Any], random.Random], dict[str, Any] | None]


class Player:
    """Plays operators and workers; every word comes from its own seed."""

    def __init__(self, server: LiveServer) -> None:
        self._url = f"{server.url}/api"
        self._random = random.Random(36)  # the same pictures each time
        self._admin = server.session()
        self._sessions: dict[str, requests.Session] = {}

    def person(self, name: str, role: str = "operator") -> requests.Session:
        """Open a session of somebody, who is made when first needed."""
        if name not in self._sessions:
            made = self._admin.post(f"{self._url}/tokens", json={"name": name, "role": role})
            made.raise_for_status()
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {made.json()['token']}"
            self._sessions[name] = session
        return self._sessions[name]

    def token(self, name: str) -> str:
        """Give the token of somebody, to sign in with."""
        return str(self.person(name).headers["Authorization"]).removeprefix("Bearer ")

    def create(self, who: str, body: dict[str, Any]) -> int:
        made = self.person(who).post(f"{self._url}/batches", json=body)
        made.raise_for_status()
        return int(made.json()["id"])

    def act(self, who: str, batch: int, action: str, **context: Any) -> None:
        self.person(who).post(f"{self._url}/batches/{batch}/action", json={"action": action, "context": context})

    def lease(self, batch: int, worker: str, most: int) -> list[dict[str, Any]]:
        asked = {"worker": worker, "max_tasks": most, "batch_id": batch}
        leased = self.person("worker", "worker").post(f"{self._url}/tasks/lease", json=asked).json()
        tasks: list[dict[str, Any]] = leased["tasks"]
        return tasks

    def work(self, batch: int, answer: Answer, worker: str = "vm:14591", most: int = 1000, amount: int = 10**9) -> int:
        """Lease and report tasks until `amount` are answered or none is left; return how many were answered."""
        done = 0
        while done < amount and (tasks := self.lease(batch, worker, min(most, amount - done))):
            reports = [self._report(task, answer) for task in tasks]
            self.person("worker", "worker").post(f"{self._url}/tasks/report", json={"reports": reports})
            done += len(tasks)
        return done

    def _report(self, task: dict[str, Any], answer: Answer) -> dict[str, Any]:
        report = {"task_id": task["id"], "lease_token": task["lease_token"]}
        if task["kind"] == "STAGE":
            text = task["payload"].get("text") or task["payload"]["document"]["name"]
            return {**report, "outcome": "completed", "result": {"text": text, "metadata": {"characters": len(text)}}}
        given = answer(task["payload"], self._random)
        if given is None or "code" in given:
            return {**report, "outcome": "failed", "error": given or BUSY, "retryable": False}
        model = task["payload"]["model"]
        usage = {
            "input_tokens": self._random.randint(150, 260),
            "output_tokens": self._random.randint(40, 900),
            "cost": round(PRICES[model] * self._random.uniform(0.7, 1.35), 6),
            "latency_ms": round(MILLISECONDS[model] * self._random.uniform(0.6, 1.8)),
        }
        return {**report, "outcome": "completed", "result": {**given, "usage": usage}}

    def stage(self, who: str, batch: int, reason: str = "") -> None:
        self.act(who, batch, "stage", **({"reason": reason} if reason else {}))
        self.work(batch, lambda *_: None)


def letters() -> list[dict[str, Any]]:
    return [
        {"name": name, "text": f"{said[0]}. Reference {name.partition('.')[0]}.", "media_type": "text/plain"}
        for name, said in LETTERS.items()
    ]


def minutes(amount: int) -> list[dict[str, Any]]:
    return [
        {
            "name": f"board-{2012 + n // 30}-{n % 30 + 1:02}.txt",
            "text": f"Minutes {n} of the board.",
            "media_type": "text/plain",
        }
        for n in range(amount)
    ]


def letter_answer(payload: dict[str, Any], chance: random.Random) -> dict[str, Any] | None:
    name, model = payload["document"]["name"], payload["model"]
    said, category, parties = LETTERS[name]
    if model == "gpt-4o" and name == "invoice-0007.txt" and "schema" not in payload:
        return BUSY
    if "schema" in payload:
        other = model != "gpt-4o" and chance.random() < 0.45
        answer = {
            "category": chance.choice(["other", "notice", "complaint"]) if other else category,
            "urgency": chance.randint(1, 5) if other else len(said) % 5 + 1,
            "score": round(chance.uniform(0.1, 0.95), 2) if other else round(0.35 + len(said) % 60 / 100, 2),
            "parties": parties,
        }
        return {"json": answer, "text": str(answer)}
    verb = "says" if model != "gpt-4o" and chance.random() < 0.7 else "reports"
    return {"text": f"The document {verb} that {said[0].lower()}{said[1:]}."}


def memo_answer(payload: dict[str, Any], chance: random.Random) -> dict[str, Any] | None:
    if chance.random() < 0.012:
        return {**TOO_LONG, "message": TOO_LONG["message"].format(n=chance.randint(8300, 19000))}
    if chance.random() < 0.006:
        return BUSY
    name = payload["document"]["name"]
    return {
        "text": f"""## Summary

{name} records the decision to renew the insurance of the building and to defer the roof.

## Duties and deadlines

1. **Insurance.** The manager renews the policy before *31 March*.
2. **Roof.** Three offers are obtained by the next meeting.

| clause | says | risk |
|---|---|---|
| 4.1 | payment within 30 days | low |
| 7.3 | liability is capped | **high** |
"""
    }


def paused_by_its_limit(player: Player, slowly: bool) -> int:
    """A run of 400 memos that reached its limit of 1.00; with `slowly`, it takes long enough for a chart."""
    prompts = [{"name": "deep-memo", "text": MEMO, "system": "Answer in Markdown."}]
    batch = player.create(
        "ada",
        {
            "name": "Board minutes 2012–2026, deep memo",
            "description": "Duties and risks in fourteen years of board minutes, for the audit in May.",
            "documents": minutes(400),
            "prompts": prompts,
            "models": [{"connection": "openai", "model": "gpt-4o", "params": {"temperature": 0}}],
            "options": {"max_cost": 1.0, "max_failed_tasks": 40},
        },
    )
    player.stage("ada", batch)
    player.act("ada", batch, "run", reason="memo for the board")
    for amount in _pace(slowly):
        if not player.work(batch, memo_answer, worker=f"vm:{14591 if amount % 2 else 14590}", amount=amount):
            break
    return batch


def _pace(slowly: bool) -> Iterator[int]:
    """Say how many tasks are answered in each step of half a second."""
    for step in range(200):
        yield min(step // 6 + 1, 3) if slowly else 50
        time.sleep(0.5 if slowly else 0)


def answered_letters(player: Player) -> int:
    """A completed run: two prompts, two models, answers that agree and differ, one failure; then a second run."""
    batch = player.create(
        "ada",
        {
            "name": "Letters of tenants, triage",
            "documents": letters(),
            "prompts": [
                {"name": "one-sentence", "text": ONE_SENTENCE},
                {"name": "classify", "text": CLASSIFY, "schema": SCHEMA},
            ],
            "models": [
                {"connection": "openai", "model": "gpt-4o"},
                {"connection": "groq", "model": "llama-3.3-70b"},
            ],
            "options": {"max_cost": 5.0},
        },
    )
    player.stage("ada", batch)
    player.act("ada", batch, "run", reason="weekly triage")
    player.work(batch, letter_answer)
    return batch


def others(player: Player) -> None:
    """Batches beside them: one that is ready, one cancelled, one that failed."""
    models = [{"connection": "openai", "model": "gpt-4o"}]
    prompts = [{"name": "one-sentence", "text": ONE_SENTENCE}]
    for name, who in (
        ("Contracts 2026, liability clauses", "ada"),
        ("Invoices of March", "night-shift"),
        ("Supplier letters, Q2", "bo"),
    ):
        batch = player.create(who, {"name": name, "documents": letters(), "prompts": prompts, "models": models})
        player.stage(who, batch)
        if name.startswith("Invoices"):
            player.act(who, batch, "run")
            player.work(batch, letter_answer, amount=7)
            player.act(who, batch, "cancel", reason="GPU box needed")
        if name.startswith("Supplier"):
            player.act(who, batch, "run")
            player.work(batch, letter_answer)
    player.create("bo", {"name": "Draft: maintenance contracts", "documents": letters()[:5], "prompts": prompts})
    failing = {
        "name": "Scans of the archive",
        "documents": minutes(60),
        "prompts": prompts,
        "models": models,
        "options": {"max_failed_tasks": 5},
    }
    batch = player.create("night-shift", failing)
    player.stage("night-shift", batch)
    player.act("night-shift", batch, "run")
    player.work(
        batch,
        lambda *_: {"code": "timeout", "message": "openai does not answer in time (ReadTimeout)."},
        most=6,
        amount=6,
    )


def at_work(player: Player) -> int:
    """A batch at work, of which one worker holds tasks."""
    prompts = [{"name": "deep-memo", "text": MEMO}]
    batch = player.create(
        "ada",
        {
            "name": "Minutes of the works council, risks",
            "documents": minutes(150),
            "prompts": prompts,
            "models": [{"connection": "anthropic", "model": "claude-opus"}],
            "options": {"max_cost": 4.0},
        },
    )
    player.stage("ada", batch)
    player.act("ada", batch, "run", reason="before the meeting on Thursday")
    player.work(batch, memo_answer, worker="gpu-box:7", amount=40)
    player.lease(batch, "gpu-box:7", 12)
    player.lease(batch, "vm:14990", 4)
    return batch
