"""The check behind `verify`: tests the invariants of all tables, and reports the batches that break one. Reads only."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select, text

from app.db import reading
from app.domain.attempts import Attempt, attempts_of
from app.domain.leases import FINISHED
from app.domain.times import rfc3339
from app.domain.transitions import BatchState
from app.domain.usage import MOST_COUNTED
from app.models import Task
from app.services.message.contradictions import contradictions

MOST_NAMED = 20  # batches in one sentence
_AMOUNTS = ("input_tokens", "output_tokens", "cost_nanos")
_USAGE = ", ".join(f"sum({name}) AS {name}" for name in _AMOUNTS)
_KEYS = "t.batch_id, t.run, t.kind, coalesce(t.prompt_number, 0) AS prompt_number"
_KEYS += ", coalesce(t.model_number, 0) AS model_number"
_USED = f"""SELECT batch_id, run, {{by}}, {_USAGE} FROM (
    SELECT {_KEYS}, {", ".join(f"t.{name}" for name in _AMOUNTS)} FROM tasks t UNION ALL
    SELECT {_KEYS}, {", ".join(f"l.{name}" for name in _AMOUNTS)} FROM late_results l JOIN tasks t ON t.id = l.task_id
    ) AS used"""
# The sums of counters, and the largest of them: one that has stopped at its bound says nothing about the tasks.
_COUNTED = f"{_USAGE}, {', '.join(f'max({name}) AS most_{name}' for name in _AMOUNTS)}"
_DIFFERS = " OR ".join(
    f"(coalesce(t.{name}, 0) <> coalesce(c.{name}, 0) AND coalesce(c.most_{name}, 0) < {MOST_COUNTED})"
    for name in _AMOUNTS
)

# invariant -> the query that finds the batches that break it
_OF_TRAIL: dict[str, str] = {
    "the versions of the audit trail are 1..N without a gap, and N is the version of the batch": """
        SELECT b.id AS batch FROM batches b LEFT JOIN audit_log a ON a.batch_id = b.id GROUP BY b.id, b.version
        HAVING count(a.version) <> b.version OR coalesce(min(a.version), 0) <> 1 OR max(a.version) <> b.version""",
    "each audit row starts from the state that the audit row before it led to": """
        SELECT a.batch_id AS batch FROM audit_log a
        LEFT JOIN audit_log p ON p.batch_id = a.batch_id AND p.version = a.version - 1
        WHERE (a.version > 1 AND (p.to_state IS NULL OR a.from_state <> p.to_state))
           OR (a.version = 1 AND a.from_state IS NOT NULL)""",
    "the last audit row leads to the batch's state": """
        SELECT b.id AS batch FROM batches b JOIN audit_log a ON a.batch_id = b.id AND a.version = b.version
        WHERE a.to_state <> b.state""",
    "a batch has a failure if and only if it is FAILED": f"""
        SELECT id AS batch FROM batches WHERE (state = '{BatchState.FAILED}') <> (failure_code IS NOT NULL)""",
    "a batch is purged if and only if its audit trail says so, and then it is archived": """
        SELECT b.id AS batch FROM batches b WHERE
        (b.purged_at IS NOT NULL) <> EXISTS (SELECT 1 FROM audit_log a WHERE a.batch_id = b.id AND a.trigger = 'purge')
        OR (b.purged_at IS NOT NULL AND b.archived_at IS NULL)""",
    "nothing is left of a purged batch, unless it is being deleted": """
        SELECT b.id AS batch FROM batches b WHERE b.purged_at IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.batch_id = b.id)
        AND (EXISTS (SELECT 1 FROM documents o WHERE o.batch_id = b.id)
            OR EXISTS (SELECT 1 FROM tasks o WHERE o.batch_id = b.id)
            OR EXISTS (SELECT 1 FROM ready_tasks o WHERE o.batch_id = b.id)
            OR EXISTS (SELECT 1 FROM ready_targets o WHERE o.batch_id = b.id)
            OR EXISTS (SELECT 1 FROM prompts o WHERE o.batch_id = b.id)
            OR EXISTS (SELECT 1 FROM progress_samples o WHERE o.batch_id = b.id))""",
    "a document or task that was erased has no content": """
        SELECT batch_id AS batch FROM documents
        WHERE erased_at IS NOT NULL AND (text <> '' OR content IS NOT NULL OR path IS NOT NULL)
        UNION ALL
        SELECT batch_id AS batch FROM tasks
        WHERE erased AND (result IS NOT NULL OR content_key IS NOT NULL OR ended_attempts <> '')
        UNION ALL
        SELECT t.batch_id AS batch FROM late_results l JOIN tasks t ON t.id = l.task_id
        WHERE t.erased AND (l.result IS NOT NULL OR l.error IS NOT NULL)""",
}
# The same for what a purge deletes, or is deleting.
_OF_CONTENT: dict[str, str] = {
    "the counts of a run equal the numbers of its tasks": """
        SELECT coalesce(t.batch_id, c.batch_id) AS batch FROM
        (SELECT batch_id, run, kind, count(*) AS total,
            sum(CASE WHEN status = 'QUEUED' THEN 1 ELSE 0 END) AS queued,
            sum(CASE WHEN status = 'LEASED' THEN 1 ELSE 0 END) AS leased,
            sum(CASE WHEN status = 'COMPLETED' THEN 1 ELSE 0 END) AS completed,
            sum(CASE WHEN status = 'FAILED' THEN 1 ELSE 0 END) AS failed
         FROM tasks GROUP BY batch_id, run, kind) t
        FULL JOIN
        (SELECT batch_id, run, kind, sum(queued) AS queued, sum(leased) AS leased, sum(completed) AS completed,
            sum(failed) AS failed FROM task_counts GROUP BY batch_id, run, kind) c
        ON t.batch_id = c.batch_id AND t.run = c.run AND t.kind = c.kind
        WHERE coalesce(t.queued, 0) <> coalesce(c.queued, 0) OR coalesce(t.leased, 0) <> coalesce(c.leased, 0)
           OR coalesce(t.completed, 0) <> coalesce(c.completed, 0) OR coalesce(t.failed, 0) <> coalesce(c.failed, 0)""",
    "the usage of a run is the sum over its tasks and late results": f"""
        SELECT coalesce(t.batch_id, c.batch_id) AS batch FROM ({_USED.format(by="kind")} GROUP BY batch_id, run, kind) t
        FULL JOIN (SELECT batch_id, run, kind, {_COUNTED} FROM task_counts GROUP BY batch_id, run, kind) c
        ON t.batch_id = c.batch_id AND t.run = c.run AND t.kind = c.kind WHERE {_DIFFERS}""",
    "the usage by prompt and model is the sum over the analysis tasks and late results": f"""
        SELECT coalesce(t.batch_id, c.batch_id) AS batch FROM
        ({_USED.format(by="prompt_number, model_number")}
         WHERE kind = 'ANALYZE' GROUP BY batch_id, run, prompt_number, model_number) t
        FULL JOIN (SELECT batch_id, run, prompt_number, model_number, {_COUNTED} FROM usage_counts
            GROUP BY batch_id, run, prompt_number, model_number) c
        ON t.batch_id = c.batch_id AND t.run = c.run AND t.prompt_number = c.prompt_number
            AND t.model_number = c.model_number WHERE {_DIFFERS}""",
    "each document found in a folder has one staging task, counted as found": """
        SELECT coalesce(c.batch_id, d.batch_id) AS batch FROM
        (SELECT batch_id, run, sum(found) AS found FROM task_counts WHERE kind = 'STAGE' GROUP BY batch_id, run) c
        FULL JOIN
        (SELECT d.batch_id, d.run, count(t.id) AS tasks, count(DISTINCT d.id) AS documents FROM documents d
         LEFT JOIN tasks t ON t.batch_id = d.batch_id AND t.run = d.run AND t.document_id = d.id AND t.kind = 'STAGE'
         WHERE d.run IS NOT NULL GROUP BY d.batch_id, d.run) d
        ON c.batch_id = d.batch_id AND c.run = d.run
        WHERE coalesce(c.found, 0) <> coalesce(d.tasks, 0) OR d.tasks <> d.documents""",
    "a COMPLETED batch has no open task in its present run": f"""
        SELECT b.id AS batch FROM batches b JOIN tasks t ON t.batch_id = b.id AND t.run = b.run
        WHERE b.state = '{BatchState.COMPLETED}' AND t.status IN ('QUEUED', 'LEASED')""",
    "the document count of a batch is the number of its documents": """
        SELECT b.id AS batch FROM batches b LEFT JOIN documents d ON d.batch_id = b.id GROUP BY b.id, b.document_count
        HAVING count(d.number) <> b.document_count""",
}
OF_ATTEMPTS = "the attempts of a task used what the task used, and the last one ended when the task did"
_ATTEMPTED = (
    select(
        Task.id, Task.batch_id, Task.status, Task.input_tokens, Task.output_tokens, Task.cost_nanos,
        Task.finished_at, Task.ended_attempts,
    )
    .where(Task.id > bindparam("after"), Task.ended_attempts != "")
    .order_by(Task.id)
    .limit(10_000)
)  # fmt: skip
_NOT_PURGED = "SELECT batch FROM ({}) AS broken WHERE batch NOT IN (SELECT id FROM batches WHERE purged_at IS NOT NULL)"
_CHECKS = {**_OF_TRAIL, **{name: _NOT_PURGED.format(query) for name, query in _OF_CONTENT.items()}}


def verify(engine: Engine) -> Iterator[str]:
    """Check all batches; yield a sentence for each invariant that is broken, with the batches that break it."""
    with reading(engine) as connection:
        for invariant, query in _CHECKS.items():
            if broken := _first(connection, query):
                yield _sentence(invariant, broken)
        yield from verify_attempts_and_messages(connection)


def verify_attempts_and_messages(connection: Connection) -> Iterator[str]:
    """Check what takes more than one query: the attempts of tasks, and messages."""
    if broken := sorted(_with_wrong_attempts(connection))[:MOST_NAMED]:
        yield _sentence(OF_ATTEMPTS, broken)
    for invariant, broken in contradictions(connection, MOST_NAMED):
        yield _sentence(invariant, broken)


def _sentence(invariant: str, broken: list[Any]) -> str:
    return f"Broken: {invariant}: batches {', '.join(map(str, broken))}"


def _with_wrong_attempts(connection: Connection) -> set[int]:
    """Find the batches of tasks whose attempts do not fit them; walks through all tasks that have attempts."""
    broken: set[int] = set()
    after = 0
    while rows := connection.execute(_ATTEMPTED, {"after": after}).all():
        broken |= {row.batch_id for row in rows if not _fits(row, list(attempts_of(row.ended_attempts)))}
        after = rows[-1].id
    return broken


def _fits(task: Any, attempts: list[Attempt]) -> bool:
    used = [(each.input_tokens, each.output_tokens, each.cost_nanos or 0) for each in attempts]
    sums = tuple(map(sum, zip(*used, strict=True)))
    whole = (task.input_tokens, task.output_tokens, task.cost_nanos)
    if attempts[0].number == 1:  # otherwise the first ones ended in a release that did not keep them
        return sums == whole and (task.status not in FINISHED or attempts[-1].at == rfc3339(task.finished_at))
    return all(one <= all_together for one, all_together in zip(sums, whole, strict=True))


def _first(connection: Connection, query: str, most: int = MOST_NAMED) -> list[Any]:
    limited = text(f"SELECT DISTINCT batch FROM ({query}) AS found ORDER BY batch LIMIT {most}")
    return list(connection.execute(limited).scalars())
