"""Alternating rounds: both sides of a ratio are measured in turns, so that a slow minute of the machine slows both."""

from collections.abc import Callable, Mapping
from statistics import median

from bench.progress import Progress

Measure = Callable[[], float]


def alternate(measures: Mapping[str, Measure], rounds: int, progress: Progress) -> dict[str, list[float]]:
    """Measure each once in every round, with the order reversed in every second round; return the figures by round."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    names = list(measures)
    for number in range(1, rounds + 1):
        for name in names if number % 2 else reversed(names):
            found[name].append(measures[name]())
        figures = ", ".join(f"{name} {found[name][-1]:,.0f}" for name in names)
        progress.say(f"  round {number} of {rounds}: {figures}")
    return found


def ratio(over: list[float], under: list[float]) -> float:
    """Compute the median of the ratios of the rounds."""
    return median(a / b for a, b in zip(over, under, strict=True))
