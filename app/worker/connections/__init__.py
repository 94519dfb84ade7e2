"""Connections to model servers with OpenAI's API: which models they have, their prices and their rate limits.

All of this stays in the worker: the service learns neither keys nor addresses. See docs/workers.md.
"""
