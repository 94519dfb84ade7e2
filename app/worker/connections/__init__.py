"""Connections to model servers that speak OpenAI's API: which there are, what they cost, how fast they may be asked.

All of it stays in the worker: the service learns neither keys nor addresses. See docs/workers.md.
"""
