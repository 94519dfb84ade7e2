"""How hard the tests try: as hard as they found their bugs in `make test`, many times that in `make soak`."""

import os

from hypothesis import HealthCheck, settings

VARIABLE = "SOAK"  # set to 1 by `make soak`
SOAK = os.environ.get(VARIABLE) == "1"


def effort(test: int, soak: int) -> int:
    """Choose a number of rounds, tasks or examples. Beside each `test` stands why so many are enough."""
    return soak if SOAK else test


def load_profile() -> None:
    """Set how many examples Hypothesis makes up for a property, where its test does not say. No example is timed."""
    examples = effort(test=100, soak=5_000)
    checks = [HealthCheck.too_slow]  # a busy machine is no fault
    settings.register_profile("effort", max_examples=examples, deadline=None, suppress_health_check=checks)
    settings.load_profile("effort")
