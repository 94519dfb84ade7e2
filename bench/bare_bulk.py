"""Two bare statements, which lease tasks and complete them: what the database alone needs for the work of a worker.

`python -m bench.bare_bulk DATABASE_URL BATCH AT_ONCE NAME` is a worker as bench.worker_process, without the service.
Each statement is a transaction and one round trip. It writes what the service writes: the tasks, and their counts.
"""

import sys
import time
from contextlib import closing
from typing import Any

import orjson
import psycopg2

from bench.worker_process import RESULT, serve

_COUNTS = "queued, leased, completed, failed, critical, skipped, found, input_tokens, output_tokens, cost_nanos"
_ADD_COUNTS = """INSERT INTO task_counts AS c (batch_id, run, kind, shard, {columns}, touched_at)
    SELECT %(batch_id)s, 1, 'ANALYZE', pg_backend_pid() %% 64, {amounts}, now() FROM {changed}
    ON CONFLICT (batch_id, run, kind, shard) DO UPDATE SET queued = c.queued + excluded.queued,
        leased = c.leased + excluded.leased, completed = c.completed + excluded.completed,
        input_tokens = c.input_tokens + excluded.input_tokens, output_tokens = c.output_tokens + excluded.output_tokens,
        touched_at = excluded.touched_at"""
_LEASED = _ADD_COUNTS.format(columns=_COUNTS, amounts="-count(*), count(*), 0, 0, 0, 0, 0, 0, 0, 0", changed="leased")
_COMPLETED = _ADD_COUNTS.format(
    columns=_COUNTS,
    amounts="0, -count(*), count(*), 0, 0, 0, 0, sum(input_tokens), sum(output_tokens), 0",
    changed="done HAVING count(*) > 0",
)
LEASE = f"""
WITH leased AS (
    UPDATE tasks SET status = 'LEASED', attempt = attempt + 1, leased_by = %(worker)s,
        lease_expires_at = now() + interval '600 s', lease_token = %(nonce)s || '.' || id || '.' || (attempt + 1)
    WHERE id = ANY (ARRAY(
        SELECT id FROM tasks WHERE batch_id = %(batch_id)s AND run = 1 AND kind = 'ANALYZE' AND target = 1
            AND status = 'QUEUED' AND available_at <= now()
        ORDER BY available_at, id LIMIT %(at_once)s FOR UPDATE SKIP LOCKED))
    RETURNING id, lease_token, (SELECT body::text FROM ready_tasks r
        WHERE r.batch_id = tasks.batch_id AND r.number = tasks.ready_number) AS body),
counted AS ({_LEASED})
SELECT id, lease_token, body FROM leased
"""
COMPLETE = f"""
WITH done AS (
    UPDATE tasks SET status = 'COMPLETED', result = w.result, lease_expires_at = NULL, lease_outcome = 'completed',
        lease_answer = 'COMPLETED', finished_at = now(), input_tokens = tasks.input_tokens + w.input_tokens,
        output_tokens = tasks.output_tokens + w.output_tokens
    FROM unnest(%(ids)s::bigint[], %(tokens)s::text[], %(results)s::json[], %(input_tokens)s::bigint[],
        %(output_tokens)s::bigint[]) AS w (id, token, result, input_tokens, output_tokens)
    WHERE tasks.id = w.id AND tasks.lease_token = w.token AND tasks.status = 'LEASED'
    RETURNING w.input_tokens, w.output_tokens),
counted AS ({_COMPLETED})
SELECT count(*) FROM done
"""
_BATCH = """
INSERT INTO batches (id, name, state, version, run, document_count, prompt_count, model_count, ready_task_count,
    max_attempts, lease_seconds, priority, staging_timeout_seconds, on_unreadable, created_at, updated_at)
VALUES (%(batch_id)s, 'bare', 'SAVED', 1, 0, 0, 0, 0, %(tasks)s, 3, 60, 0, 3600, 'fail', now(), now());
INSERT INTO audit_log (batch_id, version, trigger, kind, from_state, to_state, actor, role, context, at)
VALUES (%(batch_id)s, 1, 'create', 'edit', NULL, 'SAVED', 'bench', 'operator', '{}', now());
INSERT INTO ready_tasks (batch_id, number, custom_id, method, url, body, content_key, target)
SELECT %(batch_id)s, n, 'task-' || n, 'POST', '/v1/chat/completions',
    CAST(format('{"model":"small","messages":[{"role":"user","content":"Question %%s"}]}', n) AS json),
    encode(sha256(CAST(CAST(n AS text) AS bytea)), 'hex'), 1 FROM generate_series(1, %(tasks)s) AS n;
INSERT INTO tasks (batch_id, run, kind, status, attempt, critical, past_leases, input_tokens, output_tokens, cost_nanos,
    available_at, content_key, ready_number, target)
SELECT batch_id, 1, 'ANALYZE', 'QUEUED', 0, false, '', 0, 0, 0, now(), content_key, number, target FROM ready_tasks
WHERE batch_id = %(batch_id)s ORDER BY number
"""


def fill(database_url: str, batch_id: int, tasks: int) -> None:
    """Make a batch of ready-made tasks that can be leased."""
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_BATCH, {"batch_id": batch_id, "tasks": tasks})


def completed(database_url: str, batch_id: int) -> int:
    """Count the completed tasks of a batch."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tasks WHERE batch_id = %s AND status = 'COMPLETED'", (batch_id,))
        (found,) = cursor.fetchone() or (0,)
    return int(found)


def work(database_url: str, batch_id: int, at_once: int, name: str) -> dict[str, Any]:
    """Lease and complete tasks until there are none; return what bench.worker_process does."""
    # As the service does: a planner that does not know the new batch yet would sort all of it.
    with closing(psycopg2.connect(database_url, options="-c enable_sort=off")) as connection:
        connection.autocommit = True
        wanted = {"worker": name, "nonce": name, "batch_id": batch_id, "at_once": at_once}
        reported, begun_at, cpu = 0, time.time(), time.process_time()
        with connection.cursor() as cursor:
            while True:
                cursor.execute(LEASE, wanted)
                leased = cursor.fetchall()
                if not leased:
                    break
                reported += _complete(cursor, batch_id, leased)
        cpu_seconds = time.process_time() - cpu
    return {"reported": reported, "begun_at": begun_at, "ended_at": time.time(), "cpu_seconds": cpu_seconds}


def _complete(cursor: Any, batch_id: int, leased: list[Any]) -> int:
    values = {
        "batch_id": batch_id,
        "ids": [task_id for task_id, _, _ in leased],
        "tokens": [token for _, token, _ in leased],
        "results": [orjson.dumps(RESULT).decode() for _ in leased],
        "input_tokens": [RESULT["usage"]["input_tokens"]] * len(leased),
        "output_tokens": [RESULT["usage"]["output_tokens"]] * len(leased),
    }
    cursor.execute(COMPLETE, values)
    return int(cursor.fetchone()[0])


if __name__ == "__main__":
    database_url, batch_id, at_once, name = sys.argv[1:]
    serve(lambda: work(database_url, int(batch_id), int(at_once), name))
