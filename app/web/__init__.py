"""What the API and the pages share: what happens to every request, the services, ids in paths, uploads, streams."""

from flask import Flask

from app.web import large_bodies, request_ids, request_spans, spooling, timings
from app.web.ids import Ident


def register(app: Flask) -> None:
    """Put on an application what both edges stand on."""
    app.url_map.converters["ident"] = Ident
    request_ids.register(app)
    request_spans.register(app)
    spooling.register(app)
    timings.register(app)
    large_bodies.register(app)
