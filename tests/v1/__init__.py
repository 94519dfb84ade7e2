"""OpenAI's APIs at /v1, through the unmodified SDK of OpenAI and the real service."""
