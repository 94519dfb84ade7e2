"""The chart of a run as the paths of one SVG: calls a second with the failures among them, and their mean latency.

Drawn by the server, from three samples on: it needs no script.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

FEWEST = 3
MOST_POINTS = 160
WIDTH, HEIGHT = 720, 170
_CALLS_TOP, _CALLS_FOOT, _LATENCY_TOP, _LATENCY_FOOT = 4, 112, 124, 166


class Sample(NamedTuple):
    """What happened in a part of a run that ended at a time (seconds from 1970)."""

    at: float
    calls: float  # a second
    failures: float  # a second
    latency_ms: float | None  # a call


class Chart(NamedTuple):
    """The paths, and the figures beside them."""

    calls: str
    failures: str
    latency: str
    marks: list[float]  # x of each change
    most_calls: float
    most_latency_ms: float | None
    starts_at: float
    ends_at: float


def samples_of(moments: Sequence[Any]) -> list[Sample]:
    """Give the rates between the moments of a run; neighbours are joined until there are MOST_POINTS at most."""
    step = -(-len(moments) // MOST_POINTS) if moments else 1
    kept = [*moments[:-1:step], moments[-1]] if moments else []
    return [_between(before, after) for before, after in pairwise(kept) if after.at > before.at]


def _between(before: Any, after: Any) -> Sample:
    seconds, timed = (after.at - before.at).total_seconds(), after.timed - before.timed
    return Sample(
        after.at.timestamp(),
        (after.attempts - before.attempts) / seconds,
        (after.failures - before.failures) / seconds,
        (after.latency_ms - before.latency_ms) / timed if timed else None,
    )


def chart_of(samples: Sequence[Sample], changes: Sequence[float]) -> Chart | None:
    """Draw samples, with the times of changes; None if there are too few of them to be more than noise."""
    if len(samples) < FEWEST:
        return None
    first, last = samples[0].at, samples[-1].at

    def x(at: float) -> float:
        return round((at - first) / (last - first) * WIDTH, 1)

    most = max(each.calls for each in samples)
    timed = [each for each in samples if each.latency_ms is not None]
    slowest = max((each.latency_ms or 0.0 for each in timed), default=None)
    failures = [(x(each.at), _y(each.failures, most, _CALLS_TOP, _CALLS_FOOT)) for each in samples]
    area = [(0.0, float(_CALLS_FOOT)), *failures, (float(WIDTH), float(_CALLS_FOOT))]
    return Chart(
        _line([(x(each.at), _y(each.calls, most, _CALLS_TOP, _CALLS_FOOT)) for each in samples]),
        f"{_line(area)}Z" if any(each.failures for each in samples) else "",
        _line([(x(each.at), _y(each.latency_ms or 0.0, slowest, _LATENCY_TOP, _LATENCY_FOOT)) for each in timed]),
        [x(at) for at in changes if first <= at <= last],
        most,
        slowest,
        first,
        last,
    )


def _y(value: float, most: float | None, top: int, foot: int) -> float:
    return round(foot - value / most * (foot - top), 1) if most else float(foot)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""
