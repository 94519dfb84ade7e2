"""What a line of a batch at /v1/batches has to be; a fault has OpenAI's code and the name of the parameter."""

from collections.abc import Mapping
from typing import Any

from app.domain.answer.endpoints import endpoint_of
from app.domain.answer.json_text import too_large_integer
from app.services.input.bad_lines import BadLine, cut
from app.services.input.json_lines import parsed

MEMBERS: dict[str, type] = {"custom_id": str, "method": str, "url": str, "body": dict}
LONGEST = {"custom_id": 500, "method": 10, "url": 500}
CHAT, MODERATIONS = "/v1/chat/completions", "/v1/moderations"
MOST_MODELS = 2  # that are remembered: one is the model of the batch, two are none


class LineCheck:
    """Checks the lines of one batch, and notes which models they name."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self.models: set[str] = set()

    def __call__(self, line: bytes) -> Mapping[str, Any]:
        """Read a line; its unknown members are left out. Raises BadLine."""
        data = parsed(line)
        found = {name: _member(data, name, kind) for name, kind in MEMBERS.items()}
        if found["method"] != "POST":
            raise BadLine("method has to be POST", "invalid_request", "method")
        if endpoint_of(found["url"]) != self._endpoint:
            message = f"url {cut(repr(found['url']))} is not the endpoint of the batch, {self._endpoint}"
            raise BadLine(message, "invalid_url", "url")
        self._check_body(found["body"])
        if number := too_large_integer(line):
            raise BadLine(
                f"has an integer beyond 64 bits, which would lose digits: {cut(number)}", "invalid_request", "body"
            )
        return found

    def _check_body(self, body: Mapping[str, Any]) -> None:
        if body.get("stream"):
            raise BadLine("Answers of a batch are not streamed.", "streaming_unsupported", "body.stream")
        model = body.get("model")
        if (model is not None or self._endpoint != MODERATIONS) and not (isinstance(model, str) and model):
            raise BadLine("body.model is missing, or is no text", "invalid_request", "body.model")
        if self._endpoint == CHAT and not (isinstance(body.get("messages"), list) and body["messages"]):
            raise BadLine("body.messages is missing, or is no list of messages", "invalid_request", "body.messages")
        if model is not None and len(self.models) < MOST_MODELS:
            self.models.add(model)


def _member(data: Mapping[str, Any], name: str, kind: type) -> Any:
    value = data.get(name)
    if value is None or value == "":
        raise BadLine(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    if not isinstance(value, kind):
        raise BadLine(f"{name} has a wrong type", "invalid_request", name)
    if isinstance(value, str) and ("\0" in value or len(value) > LONGEST[name]):
        raise BadLine(f"{name} has to have 1 to {LONGEST[name]} characters", "invalid_request", name)
    return value
