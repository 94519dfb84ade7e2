"""docs/errors.md names every refusal with its status, and every way in which a batch or a task fails."""

import re

from app.domain.failures import MESSAGES
from app.domain.leases import POISONED, TOO_LARGE
from tests.docs.refusals import every_refusal
from tests.support.process import ROOT

PAGE = (ROOT / "docs" / "errors.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def codes_of(title: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", section(title), re.M))


def test_every_refusal_is_there_with_its_status_and_none_that_is_not() -> None:
    found = {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", section("Refusals"), re.M)}
    assert found == {refusal.code: refusal.status for refusal in every_refusal()}


def test_a_code_has_one_title_and_one_status() -> None:
    for kind in every_refusal():
        same = {(other.status, other.title) for other in every_refusal() if other.code == kind.code}
        assert same == {(kind.status, kind.title)}, kind


def test_every_failure_code_of_a_batch_is_there() -> None:
    """Contract 2: the failure codes."""
    assert codes_of("Failures of a batch") == set(MESSAGES)


def test_the_service_s_own_failures_of_a_task_are_there() -> None:
    """Contract 5: a lease that runs out for the last time fails the task with the code `poisoned`."""
    assert codes_of("Failures of a task") == {POISONED, TOO_LARGE}
