"""The span of a call of a model, by OpenTelemetry's semantic conventions for generative AI. It has no text of anybody.

The revision of the conventions is named in docs/monitoring.md.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from app.tracing.tracer import Attributes, Span, tracer
from app.worker.connections.endpoints import CHAT, EMBEDDINGS
from app.worker.connections.model_request import ModelRequest
from app.worker.connections.settings import Connection
from app.worker.connections.tokens import Tokens
from app.worker.task import Task, TaskFailed

# A moderation is no operation of the conventions.
OPERATIONS = {CHAT: "chat", "/responses": "chat", "/completions": "text_completion", EMBEDDINGS: "embeddings"}
# The end of a host's name -> the provider. Any other server is named as its connection is.
PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.anthropic.com": "anthropic",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}
PORTS = {"http": 80, "https": 443}
_OF_REQUEST = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty")


class CallSpan:
    """Begins with the block that makes the call of connection `name`, and ends with it; nothing if it is not recorded.

    A TaskFailed that leaves the block is the error of the span, by its code.
    """

    def __init__(self, task: Task, name: str, settings: Connection, request: ModelRequest) -> None:
        self._answered: Attributes = {}
        self._span: Span | None = None
        self._path = request.path
        if task.traceparent is not None and (operation := OPERATIONS.get(request.path)):
            span_name = f"{operation} {request.model}" if request.model else operation
            given = _of_request(operation, name, settings, request)
            self._span = tracer().call(span_name, task.traceparent, given)

    def __enter__(self) -> Self:
        return self

    def answered(self, body: Mapping[str, Any], tokens: Tokens | None) -> None:
        """Note what the server has answered."""
        if self._span:
            self._answered = _of_answer(body, tokens) if self._path != EMBEDDINGS else _of_vectors(body, tokens)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._span:
            code = error.code if isinstance(error, TaskFailed) else kind.__name__ if kind else None
            self._span.end(self._answered, code)


def _of_answer(body: Mapping[str, Any], tokens: Tokens | None) -> Attributes:
    return {
        "gen_ai.response.id": _text(body.get("id")),
        "gen_ai.response.model": _text(body.get("model")),
        "gen_ai.response.finish_reasons": _finish_reasons(body) or None,
        "gen_ai.usage.input_tokens": tokens.input if tokens else None,
        "gen_ai.usage.output_tokens": tokens.output if tokens else None,
        "gen_ai.usage.cache_read.input_tokens": tokens.cached if tokens else None,
        "gen_ai.usage.reasoning.output_tokens": tokens.reasoning if tokens else None,
    }


def _of_vectors(body: Mapping[str, Any], tokens: Tokens | None) -> Attributes:
    return {
        "gen_ai.response.model": _text(body.get("model")),
        "gen_ai.usage.input_tokens": tokens.input if tokens else None,
    }


def _of_request(operation: str, name: str, settings: Connection, request: ModelRequest) -> Attributes:
    body, address = request.body, urlsplit(settings.base_url)
    host, limit, choices = address.hostname or "", request.max_output_tokens, body.get("n")
    given: dict[str, Any] = {f"gen_ai.request.{each}": _number(body.get(each)) for each in _OF_REQUEST}
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _provider(host) or name,
        "gen_ai.request.model": request.model or None,
        "gen_ai.request.max_tokens": int(limit) if limit else None,
        "gen_ai.request.seed": _whole(body.get("seed")),
        "gen_ai.request.choice.count": _whole(choices) if choices != 1 else None,
        "gen_ai.output.type": _output_type(body.get("response_format")),
        "gen_ai.request.encoding_formats": _one(body.get("encoding_format")),
        "gen_ai.embeddings.dimension.count": _whole(body.get("dimensions")),
        **given,
        "server.address": host,
        "server.port": address.port or PORTS[address.scheme],
        "interlock.connection": name,
    }


def _provider(host: str) -> str | None:
    return next((name for end, name in PROVIDERS.items() if host == end or host.endswith(f".{end}")), None)


def _output_type(wanted: Any) -> str | None:
    form = wanted.get("type") if isinstance(wanted, Mapping) else None
    return {"text": "text", "json_object": "json", "json_schema": "json"}.get(str(form))


def _finish_reasons(body: Mapping[str, Any]) -> list[str]:
    choices = body.get("choices") if isinstance(body.get("choices"), list) else ()
    reasons = (each.get("finish_reason") for each in choices or () if isinstance(each, Mapping))
    return [each for each in reasons if isinstance(each, str)]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _one(value: Any) -> list[str] | None:
    return [value] if isinstance(value, str) else None
