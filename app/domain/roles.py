"""Who may do what: the roles of callers. What each may call is said beside the routes."""

from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # reads, creates batches, asks for actions
    WORKER = "worker"  # leases and reports, and nothing else
    ADMIN = "admin"  # all, and manages tokens


SYSTEM = "system"  # actor and role of what the service does by itself: no token has it
