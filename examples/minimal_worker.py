"""A whole worker in plain Python: lease a task, work on it, report the outcome. See docs/workers.md.

INTERLOCK_URL=http://127.0.0.1:5000 INTERLOCK_TOKEN=... python examples/minimal_worker.py
"""

import logging
import os
import time

import requests

URL = os.environ["INTERLOCK_URL"].rstrip("/")
session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['INTERLOCK_TOKEN']}"
logging.basicConfig(level="INFO", format="%(message)s")


def post(call: str, body: dict) -> requests.Response:
    """Repeat the call until there is an answer. It is safe to send a report twice."""
    while True:
        try:
            response = session.post(f"{URL}/api/tasks/{call}", json=body, timeout=60)
            if response.status_code not in (429, 500, 502, 503, 504):
                return response
        except requests.RequestException as error:
            logging.warning("no answer, trying again: %s", error)
        time.sleep(1)


def work(task: dict) -> dict:
    """Do one task: put the call of your model here. A document is read from its text or its file."""
    payload = task["payload"]
    if task["kind"] == "ANALYZE":
        return {"text": payload["messages"][-1]["content"].upper()}
    if "text" in payload:
        return {"text": payload["text"]}
    return {"text": session.get(URL + payload["content_url"], timeout=60).text}


while True:
    leased = post("lease", {"worker": "minimal", "max_tasks": 1, "lease_seconds": 300, "wait_seconds": 20})
    leased.raise_for_status()  # 401, 403: an operator has to give it another token
    for task in leased.json()["tasks"]:
        token = {"lease_token": task["lease_token"]}
        try:
            call, report = "complete", {**token, "result": work(task)}
        except Exception as error:
            call, report = "fail", {**token, "error": {"code": "minimal_failed", "message": repr(error)[:1000]}}
        logging.info("%s %s: %s", task["kind"], task["id"], post(f"{task['id']}/{call}", report).json())
    time.sleep(0 if leased.json()["tasks"] else 0.5)
