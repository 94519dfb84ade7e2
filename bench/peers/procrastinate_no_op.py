"""Procrastinate: how many jobs that do nothing a worker ends in a second, with so many at once.

Run as `python procrastinate_no_op.py DATABASE_URL JOBS AT_ONCE`, with an empty database of PostgreSQL. The jobs are
queued before the worker begins; the time is from the first job that has succeeded to the last.
"""

import asyncio
import json
import sys
from importlib.metadata import version

import procrastinate

ENDED = """
SELECT count(*) AS amount, extract(epoch FROM max(at) - min(at)) AS seconds FROM procrastinate_events
WHERE type = 'succeeded'
"""


async def measure(url: str, jobs: int, at_once: int) -> float:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, max_size=at_once))

    @app.task(name="no_op")  # a plain function: it runs in a thread
    def no_op(number: int) -> dict[str, object]:
        return {"status_code": 200, "request_id": str(number), "body": {}}

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await no_op.batch_defer_async(*({"number": number} for number in range(jobs)))
        await app.run_worker_async(concurrency=at_once, wait=False, install_signal_handlers=False)
        ended = await app.connector.execute_query_one_async(ENDED)
    assert ended["amount"] == jobs
    return float(jobs / float(ended["seconds"]))


if __name__ == "__main__":
    per_second = asyncio.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps({"version": version("procrastinate"), "per_second": per_second}))
