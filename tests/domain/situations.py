"""Facts for the tests of the domain: situations with a name, and any facts that can be at all."""

from hypothesis import strategies as st

from app.domain.facts import Counts, Facts

INPUT = {"documents": 2, "prompts": 1, "models": 1}
EMPTY = Facts()
HAS_WORK = Facts(**INPUT)
HAS_READY_TASKS = Facts(ready_tasks=3)
STAGING_GOES_ON = Facts(**INPUT, staging=Counts(queued=1, completed=1), analysis=Counts(queued=1))
STAGING_DONE = Facts(**INPUT, staging=Counts(completed=2), analysis=Counts(queued=2))
STAGING_BROKEN = Facts(**INPUT, staging=Counts(completed=1, failed=1), analysis=Counts(queued=1))
NOTHING_CAME_OUT = Facts(**INPUT, staging=Counts(completed=2))
STAGING_STUCK = Facts(**INPUT, staging=Counts(queued=2), idle_seconds=3600.1)
BAD_INPUT = Facts(bad_lines=3)
INPUT_UNREAD = Facts(input_is_unread=True)
STAGING_OVERDUE = Facts(**INPUT, staging=Counts(queued=1, completed=1), is_overdue=True)
RUN_OVERDUE = Facts(**INPUT, staging=Counts(completed=2), analysis=Counts(queued=1, completed=1), is_overdue=True)
RUN_GOES_ON = Facts(**INPUT, staging=Counts(completed=2), analysis=Counts(queued=1, leased=1))
RUN_DONE = Facts(**INPUT, staging=Counts(completed=2), analysis=Counts(completed=1, failed=1))
RUN_CRITICAL = Facts(**INPUT, staging=Counts(completed=2), analysis=Counts(queued=1, failed=1, critical=1))
RUN_OVER_LIMIT = Facts(**INPUT, analysis=Counts(queued=1, failed=2), max_failed_tasks=1)
RUN_ALL_FAILED = Facts(**INPUT, analysis=Counts(failed=2))


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    few = st.integers(0, 3)
    failed = draw(few)
    critical = draw(st.integers(0, failed))
    return Counts(draw(few), draw(few), draw(few), failed, critical)


def any_facts() -> st.SearchStrategy[Facts]:
    few = st.integers(0, 3)
    return st.builds(
        Facts,
        documents=few,
        prompts=few,
        models=few,
        ready_tasks=few,
        staging=counts(),
        analysis=counts(),
        max_failed_tasks=st.none() | few,
        idle_seconds=st.sampled_from([0.0, 59.9, 60.0, 60.1, 3600.1]),
        staging_timeout_seconds=st.sampled_from([60.0, 3600.0]),
    )
