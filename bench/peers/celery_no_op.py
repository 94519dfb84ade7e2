"""Celery: how many tasks that do nothing a worker with so many threads ends in a second.

Run as `python celery_no_op.py TASKS THREADS`, with the broker in REDIS_URL. The tasks are queued before the worker
starts. Their results are kept in Redis, as Interlock keeps them: the time is from the first result to the last.
"""

import json
import os
import subprocess
import sys
import time

import celery
import redis

POLL_SECONDS = 0.02
URL = os.environ["REDIS_URL"]
app = celery.Celery("celery_no_op", broker=URL, backend=URL)
app.conf.update(worker_prefetch_multiplier=20, broker_connection_retry_on_startup=True)


@app.task
def no_op(number: int) -> dict[str, object]:
    return {"status_code": 200, "request_id": str(number), "body": {}}


def main() -> None:
    tasks, threads = int(sys.argv[1]), sys.argv[2]
    client = redis.Redis.from_url(URL)
    client.flushdb()
    for number in range(tasks):
        no_op.delay(number)
    others = client.dbsize() - 1  # keys that are no results; that of the queue goes with its last task
    options = ["--pool=threads", f"--concurrency={threads}", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
    command = [sys.executable, "-m", "celery", "--app", "celery_no_op", "worker", *options]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while (first := client.dbsize() - others) <= 1:
            time.sleep(POLL_SECONDS)
        begun = time.monotonic()
        while (done := client.dbsize() - others) < tasks:
            time.sleep(POLL_SECONDS)
        print(json.dumps({"version": celery.__version__, "per_second": (done - first) / (time.monotonic() - begun)}))
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
