"""OpenAI's Files and Batches APIs, so that a program written for them runs here. It decides nothing.

The same services as the JSON API; another vocabulary, and OpenAI's own form of errors. See docs/openai.md.
"""

from flask import Flask

from app.v1 import batches, files, models, unknown, uploads
from app.v1.errors import answer_errors

_MODULES = (files, uploads, batches, models, unknown)

for each in _MODULES:
    answer_errors(each.routes)


def register(app: Flask) -> None:
    """Put these calls on an application."""
    for module in _MODULES:
        app.register_blueprint(module.routes)
