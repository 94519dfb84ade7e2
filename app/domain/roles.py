"""Roles of callers, and the sets of roles that routes and pages are open to."""

from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # reads, creates batches, requests actions
    WORKER = "worker"  # leases and reports tasks, and nothing else
    ADMIN = "admin"  # may do everything, and manages tokens


READERS = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
OPERATORS = (Role.OPERATOR, Role.ADMIN)
WORKERS = (Role.WORKER, Role.ADMIN)
ADMINS = (Role.ADMIN,)

SYSTEM = "system"  # actor and role of what the service does by itself: no token has it
