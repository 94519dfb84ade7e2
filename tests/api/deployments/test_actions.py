"""Actions on other deployments of PostgreSQL, and those that meet a locked batch."""

from tests.api.test_action import TestDone, TestIfMatch, TestRefused  # noqa: F401
from tests.api.test_requests import (  # noqa: F401
    test_a_new_request_does_not_overtake,
    test_actions_of_other_batches_do_not_wait,
    test_expired,
    test_in_the_order_they_came,
    test_queued_and_applied,
    test_queued_with_an_idempotency_key,
    test_refused_at_its_turn,
    test_reports_of_a_locked_batch_count,
)
