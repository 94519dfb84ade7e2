"""Access to the service: API tokens, sign-in links and Idempotency-Keys."""
