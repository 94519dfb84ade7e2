"""Who may call: tokens, sign-in links, idempotency keys."""
