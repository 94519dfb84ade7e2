"""The service without its metrics, `python -m bench.without_metrics serve`: beside it, one sees what they cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app import cli
from app.server.cleanup import metrics_folder


def _nothing(*_: Any, **__: Any) -> None:
    """Count nothing."""


def _itself(metric: Any, *_: Any, **__: Any) -> Any:
    return metric


@contextmanager
def _without_metrics() -> Iterator[None]:
    with metrics_folder():
        from prometheus_client import Counter, Gauge, Histogram  # not before: it reads the folder when it is imported

        for kind, verb in ((Counter, "inc"), (Gauge, "set"), (Histogram, "observe")):
            setattr(kind, verb, _nothing)
            setattr(kind, "labels", _itself)  # noqa: B010 - mypy allows no assignment to a method
        yield


if __name__ == "__main__":
    setattr(cli, "metrics_folder", _without_metrics)  # noqa: B010
    cli.cli(prog_name="python -m bench.without_metrics")
