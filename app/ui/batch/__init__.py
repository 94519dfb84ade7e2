"""The pages of one batch: overview, failures, tasks, input, audit trail, and its actions."""
