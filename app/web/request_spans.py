"""The span of each request that is sampled, and its trace's id in the log lines of the request."""

import structlog
from flask import Flask, Response, g, request

from app.tracing.tracer import Attributes, Span, tracer

NOT_RECORDED = {"/healthz", "/readyz", "/metrics"}  # asked for all the time, by machines


def register(app: Flask) -> None:
    """Record the requests of an application, if traces are on."""
    if not tracer().is_on:
        return

    @app.before_request
    def begin() -> None:
        path = request.environ["PATH_INFO"]
        if path in NOT_RECORDED:
            return
        found = (request.view_args or {}).get("batch_id")
        batch_id = found if isinstance(found, int) else None
        if span := tracer().request(request.environ.get("HTTP_TRACEPARENT"), batch_id, _described):
            g.span = span
            structlog.contextvars.bind_contextvars(trace_id=span.traceparent.split("-")[1])

    @app.after_request
    def end(response: Response) -> Response:
        if span := _span():
            status = response.status_code
            span.end({"http.response.status_code": status}, error=str(status) if status >= 500 else None)
        return response

    @app.teardown_request
    def end_anyway(error: BaseException | None) -> None:
        if span := _span():
            span.end(error=type(error).__name__ if error else None)


def _span() -> Span | None:
    span: Span | None = g.get("span")
    return span


def _described() -> tuple[str, Attributes]:
    route = request.url_rule.rule if request.url_rule else None
    return f"{request.method} {route}" if route else "HTTP", {
        "http.request.method": request.method,
        "http.route": route,
        "url.path": request.path,
        "url.scheme": request.scheme,
        "interlock.request_id": g.get("request_id"),
    }
