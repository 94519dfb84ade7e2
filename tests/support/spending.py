"""Usage of a task without a report: written where a report would have written it, so that the sums still agree."""

from typing import Any

from sqlalchemy import Engine, text

_USED = ("input_tokens", "output_tokens", "cost_nanos")


def spend(engine: Engine, task_id: Any, **used: int) -> None:
    """Add tokens and cost to a reported task and to the counters of its run; any other column is set on the task.

    The task's attempts are forgotten, as those of an earlier release: they did not use what is written here.
    """
    added = {name: used.get(name, 0) for name in _USED}
    more = ", ".join(f"{name} = {name} + :{name}" for name in _USED)
    of_task = "(SELECT batch_id, run FROM tasks WHERE id = :id)"
    cell = "(SELECT coalesce(prompt_number, 0), coalesce(model_number, 0) FROM tasks WHERE id = :id)"
    counts = f"(batch_id, run) = {of_task} AND kind = 'ANALYZE'"
    usage = f"(batch_id, run) = {of_task} AND (prompt_number, model_number) = {cell}"
    shard_of = "shard = (SELECT min(shard) FROM {table} WHERE {where})"
    with engine.begin() as connection:
        values = {**used, **added, "id": int(task_id)}
        others = "".join(f", {name} = :{name}" for name in used if name not in _USED)
        connection.execute(text(f"UPDATE tasks SET {more}{others}, ended_attempts = '' WHERE id = :id"), values)
        for table, where in (("task_counts", counts), ("usage_counts", usage)):
            one = shard_of.format(table=table, where=where)
            changed = connection.execute(text(f"UPDATE {table} SET {more} WHERE {where} AND {one}"), values)
            assert changed.rowcount == 1, table
