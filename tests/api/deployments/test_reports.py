"""Reports on other deployments of PostgreSQL."""

from tests.api.test_complete_and_fail import TestComplete, TestFail  # noqa: F401
from tests.api.test_report import (  # noqa: F401
    test_an_empty_list,
    test_each_with_its_own_fields,
    test_mixed_outcomes_in_order,
    test_the_last_reports_of_a_phase_end_it,
    test_up_to_a_thousand,
)
