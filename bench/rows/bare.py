"""The service beside the bare application (bench/bare_application.py), which does nothing but the transactions."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from statistics import median

import psycopg2

from bench import make_batches, pgbench
from bench.bare_server import running_bare
from bench.deployment import DoesNotAddUp, deployed, scratch_database
from bench.load import Load, load, request_line
from bench.options import CONNECTIONS, Bench
from bench.processor_time import ProcessorTime, processor_time
from bench.results import Result
from bench.rounds import alternate, ratio
from bench.rows.actions import BATCHES, MIN_BATCHES, WARM_UP_SECONDS, turn_of
from bench.rows.reports import MAX_REPORTS_A_SECOND, Leased, lease
from tests.support.server import LiveServer

SERVICE, GUNICORN, OURS = "service", "bare on gunicorn", "bare on our server"
MOST_PROCESSOR_TIME = 1.5
MOST_TIMES_THE_MEDIAN = 3
_STATES = "SELECT id, state FROM batches WHERE state IN ('ANALYZING', 'PAUSED') ORDER BY id"


Call = Callable[["Side", int], float]


@dataclass
class Side:
    """One of those that are compared: where it runs, and what its calls cost in each round."""

    server: LiveServer
    database_url: str
    costs: list[ProcessorTime] = field(default_factory=list)
    waits: list[Load] = field(default_factory=list)
    leased: Leased = field(default_factory=lambda: Leased(()))

    def act(self, seconds: int) -> float:
        """Pause and resume every batch in turn; return the actions per second. Raises DoesNotAddUp."""
        before = pgbench.audit_rows(self.database_url)
        done, rate = self._send([turn_of(batch_id, state) for batch_id, state in self._states()], seconds)
        written = pgbench.audit_rows(self.database_url) - before
        if written != done:
            raise DoesNotAddUp(f"{done} actions done, but {written} audit rows")
        return rate

    def get(self, seconds: int) -> float:
        """GET every batch in turn; return the calls per second."""
        return self._send([request_line(f"/api/batches/{batch_id}") for batch_id, _ in self._states()], seconds)[1]

    def report(self, seconds: int) -> float:
        """Report leased tasks one by one; return the reports per second."""
        return self._send(self.leased.take(MAX_REPORTS_A_SECOND * seconds), seconds, "worker", once=True)[1]

    @property
    def cost(self) -> ProcessorTime:
        """The median of the rounds."""
        return ProcessorTime(median(each.server for each in self.costs), median(each.database for each in self.costs))

    def _send(self, lines: list[str], seconds: int, role: str = "operator", once: bool = False) -> tuple[int, float]:
        before = processor_time(self.server.pid, self.database_url)
        done = load(self.server, role, lines, seconds, once)
        self.waits.append(done)
        self.costs.append(processor_time(self.server.pid, self.database_url).a_call(before, done.ok))
        return done.ok, done.per_second

    def _states(self) -> list[tuple[int, str]]:
        with closing(psycopg2.connect(self.database_url)) as connection, connection.cursor() as cursor:
            cursor.execute(_STATES)
            return list(cursor)


def beside_bare(bench: Bench) -> list[Result]:
    """Actions, GETs of batches and single reports, beside a bare Flask application; rates and processor time."""
    batches = bench.size(BATCHES, least=MIN_BATCHES)
    reports = MAX_REPORTS_A_SECOND * (bench.rounds * bench.seconds + WARM_UP_SECONDS)
    with deployed(bench) as deployment, _bare(bench, batches, True) as gunicorn, _bare(bench, batches, False) as ours:
        make_batches.many(bench, deployment, batches)
        service = Side(deployment.server, deployment.database_url)
        sides = {SERVICE: service, GUNICORN: gunicorn, OURS: ours}
        found = [
            *_compared(bench, "pause, resume", sides, dict.fromkeys(sides, Side.act), 0.8),
            _slowest(service),
            *_compared(bench, "GET of a batch", sides, dict.fromkeys(sides, Side.get), 0.9),
        ]
        large = make_batches.large(bench, deployment, reports + 1)
        service.leased = Leased(lease(bench, deployment, [large], reports)[0])
        calls = {SERVICE: Side.report, GUNICORN: Side.act, OURS: Side.act}
        return [*found, *_compared(bench, "single reports, beside the bare action", sides, calls, 0.8)]


@contextmanager
def _bare(bench: Bench, batches: int, on_gunicorn: bool) -> Iterator[Side]:
    with scratch_database(bench) as url:
        pgbench.fill(url, batches, analyzing=True)
        with running_bare(url, on_gunicorn) as server:
            yield Side(server, url)


def _compared(bench: Bench, what: str, sides: dict[str, Side], calls: Mapping[str, Call], floor: float) -> list[Result]:
    bench.progress.say(f"{what}: service and bare applications in turns")
    for name, side in sides.items():
        calls[name](side, WARM_UP_SECONDS)
        side.costs.clear()
        side.waits.clear()
    measures = {name: (lambda side=side, call=calls[name]: call(side, bench.seconds)) for name, side in sides.items()}
    found = alternate(measures, bench.rounds, bench.progress)
    return [_rates(what, found, GUNICORN, floor), _rates(what, found, OURS, None), *_costs(what, sides)]


def _slowest(service: Side) -> Result:
    """How long the slowest of a hundred actions takes, beside the median."""
    half, most = (median(getattr(each, name) for each in service.waits) for name in ("p50_ms", "p99_ms"))
    what = f"pause, resume: the slowest of a hundred over {CONNECTIONS} connections, beside the median"
    return Result(what, f"{most:.1f} ms", f"{half:.1f} ms", most / half, at_most=MOST_TIMES_THE_MEDIAN)


def _rates(what: str, found: dict[str, list[float]], bare: str, floor: float | None) -> Result:
    return Result(
        f"{what}: the service, beside {bare}",
        f"{median(found[SERVICE]):,.0f} calls/s",
        f"{median(found[bare]):,.0f} calls/s",
        ratio(found[SERVICE], found[bare]),
        at_least=floor,
    )


def _costs(what: str, sides: dict[str, Side]) -> list[Result]:
    """Server and database, of the service and of each bare application."""
    service = sides[SERVICE].cost
    return [
        Result(
            f"{what}: processor time of server + database, beside {name}",
            str(service),
            str(sides[name].cost),
            service.both / sides[name].cost.both,
            at_most=MOST_PROCESSOR_TIME if name == GUNICORN else None,
        )
        for name in (GUNICORN, OURS)
    ]
