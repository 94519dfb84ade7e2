"""Programs that a user might pick instead, on the same machine in the same run: the ratio is ours to theirs.

They are in a virtual environment under var/ (bench/peers/environment.py). A row says what a peer lacks here.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from bench import make_batches
from bench.deployment import deployed
from bench.options import CONNECTIONS, Bench
from bench.peers.environment import NoPeer, found_program, measured, prepared
from bench.results import Result
from bench.rounds import alternate, ratio
from bench.rows import workers
from bench.rows.actions import BATCHES, MIN_BATCHES, WARM_UP_SECONDS, act, toggles
from tests.support.databases import postgres_database
from tests.support.postgres import free_port

CELERY_TASKS, PROCRASTINATE_JOBS = 2_000, 2_000
OF_CELERY = 8.0


@contextmanager
def _redis() -> Iterator[str]:
    """Run a Redis that keeps nothing on disk, as Celery's broker; yield its URL. Raises NoPeer."""
    program, port = found_program("redis-server", "redis-server"), free_port()
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


def peers(bench: Bench) -> list[Result]:
    """The worker beside Celery with Redis and beside Procrastinate, actions beside Prefect's set_state."""
    try:
        bench.progress.say("the virtual environment of the peers")
        prepared()
    except NoPeer as missing:
        return [Result("peers", f"not measured: {missing}")]
    found: list[Result] = []
    for compare in (_celery, _procrastinate, _prefect):
        try:
            found.append(compare(bench))
        except NoPeer as missing:
            found.append(Result(compare.__name__.strip("_"), f"not measured: {missing}"))
    return found


def _celery(bench: Bench) -> Result:
    tasks = str(bench.size(CELERY_TASKS, least=500))
    with _redis() as url:
        return _worker_beside(
            bench, "Celery", lambda: measured("celery_no_op", tasks, str(workers.THREADS), REDIS_URL=url), OF_CELERY
        )


def _procrastinate(bench: Bench) -> Result:
    jobs = str(bench.size(PROCRASTINATE_JOBS, least=500))

    def run() -> dict[str, object]:
        with postgres_database(bench.postgres_url) as url:
            return measured("procrastinate_no_op", url, jobs, str(workers.THREADS))

    return _worker_beside(bench, "Procrastinate", run, None)


def _worker_beside(bench: Bench, name: str, run: Callable[[], dict[str, object]], floor: float | None) -> Result:
    """Complete no-op tasks by our worker and by that of a peer, in turns, with as many threads."""
    tasks = bench.size(workers.TASKS, least=500)
    with workers.at_work(bench) as workplace:
        what = f"no-op tasks by a worker with {workers.THREADS} threads, beside {name}"
        return _beside(bench, what, "tasks/s", lambda: workplace.complete(tasks), run, name, floor)


def _prefect(bench: Bench) -> Result:
    with deployed(bench) as deployment, postgres_database(bench.postgres_url) as url:
        make_batches.many(bench, deployment, bench.size(BATCHES, least=MIN_BATCHES))
        act(deployment, lambda: toggles(deployment), WARM_UP_SECONDS)
        address = url.replace("postgresql://", "postgresql+asyncpg://")

        def run() -> dict[str, object]:
            with tempfile.TemporaryDirectory(prefix="interlock-bench-") as home:
                settings = {"PREFECT_HOME": home, "PREFECT_API_DATABASE_CONNECTION_URL": address}
                arguments = (str(free_port()), str(bench.seconds), str(CONNECTIONS))
                return measured("prefect_set_state", *arguments, **settings)

        ours = lambda: act(deployment, lambda: toggles(deployment), bench.seconds)  # noqa: E731
        return _beside(bench, "pause, resume, beside set_state of Prefect's server", "/s", ours, run, "Prefect", None)


def _beside(
    bench: Bench,
    what: str,
    unit: str,
    ours: Callable[[], float],
    theirs: Callable[[], dict[str, object]],
    name: str,
    floor: float | None,
) -> Result:
    versions: set[str] = set()

    def peer() -> float:
        answer = theirs()
        versions.add(str(answer["version"]))
        return float(str(answer["per_second"]))

    bench.progress.say(f"{what}, in turns")
    found = alternate({"interlock": ours, name: peer}, bench.rounds, bench.progress)
    beside = f"{name} {', '.join(versions)}: {median(found[name]):,.0f} {unit}"
    over = ratio(found["interlock"], found[name])
    return Result(what, f"{median(found['interlock']):,.0f} {unit}", beside, over, at_least=floor)
