"""The rules of webhooks: which messages there are, how they are signed and repeated, and where they may be sent."""
