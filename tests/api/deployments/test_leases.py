"""Leases on other deployments of PostgreSQL."""

from tests.api.test_heartbeat_and_release import TestHeartbeat, TestRelease  # noqa: F401
from tests.api.test_lease import (  # noqa: F401
    test_a_lease_that_ran_out_is_put_back,
    test_a_staging_task,
    test_a_task_that_kills_its_workers_is_poisoned,
    test_a_waiting_lease_returns_when_work_comes,
    test_an_analysis_task,
    test_batches_take_turns,
    test_empty_when_there_is_nothing,
    test_every_document_times_prompt_times_model,
    test_in_bulk,
    test_lease_seconds_of_the_call,
    test_of_one_batch,
    test_only_staging_and_analyzing_batches_are_leased,
    test_priority_weighs_turns,
    test_two_leases_never_hold_the_same_task,
)
