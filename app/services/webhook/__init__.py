"""Webhooks: created and changed by admins, warned of what comes near, and called by the leader."""
