"""The bare application: an action and a GET of a batch with nothing but their transactions, in Flask and psycopg2.

It is what the service is compared with. DATABASE_URL names a database with the service's schema.
"""

import os
from threading import local
from typing import Any

import psycopg2
from flask import Flask, request

STATES = {"pause": ("ANALYZING", "PAUSED"), "resume": ("PAUSED", "ANALYZING"), "reset": ("SAVED", "SAVED")}
READ = "SELECT id, name, state, version FROM batches WHERE id = %s"
WRITE = "UPDATE batches SET state = %s, version = %s, updated_at = now() WHERE id = %s AND version = %s"
AUDIT = (
    "INSERT INTO audit_log (batch_id, version, trigger, kind, from_state, to_state, actor, role, context, at)"
    " VALUES (%s, %s, %s, 'action', %s, %s, 'bench', 'operator', '{}', now())"
)
app = Flask(__name__)
held = local()  # a connection for each thread


def connection() -> Any:
    if not hasattr(held, "connection"):
        held.connection = psycopg2.connect(os.environ["DATABASE_URL"])
    return held.connection


@app.post("/api/batches/<int:batch_id>/action")
def act(batch_id: int) -> Any:
    action = request.get_json()["action"]
    source, target = STATES[action]
    with connection() as transaction, transaction.cursor() as cursor:
        cursor.execute(f"{READ} FOR NO KEY UPDATE", (batch_id,))
        _, name, state, version = cursor.fetchone()
        if state != source:
            return {"code": "state_conflict", "state": state}, 409
        cursor.execute(WRITE, (target, version + 1, batch_id, version))
        cursor.execute(AUDIT, (batch_id, version + 1, action, source, target))
    return {"id": batch_id, "name": name, "state": target, "version": version + 1}


@app.get("/api/batches/<int:batch_id>")
def show(batch_id: int) -> Any:
    with connection() as transaction, transaction.cursor() as cursor:
        cursor.execute(READ, (batch_id,))
        return dict(zip(("id", "name", "state", "version"), cursor.fetchone(), strict=True))


@app.get("/healthz")
def health() -> Any:
    return {"status": "ok"}
