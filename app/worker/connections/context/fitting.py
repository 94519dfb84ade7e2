"""What happens to a request that does not fit into the context of its model: its document is cut, or it is not sent.

Cutting is for batches with `on_too_long: truncate`. Their payloads say where the document is in the messages.
"""

from collections.abc import Mapping
from typing import Any

from app.worker.connections.context.token_estimate import beginning, tokens_of_input, tokens_of_text
from app.worker.connections.model_request import ModelRequest, request_of
from app.worker.connections.settings import Connection
from app.worker.task import TaskFailed

# Of the context, for what is sent of a document that is cut: the estimate may be 0.85 of the true number.
SHARE = 0.85
ANSWER_TOKENS, ANSWER_SHARE = 4_096, 0.25  # kept for an answer without a limit of its own: the smaller of the two


def fitting_request(
    name: str, payload: Mapping[str, Any], settings: Connection
) -> tuple[ModelRequest, dict[str, int] | None]:
    """Build the request of a task. Its document is cut if it is too long and the batch says so.

    Also return how much of it is sent: `{"characters": 90000, "sent": 40000}`, None for all of it. Raises TaskFailed,
    not retryable, if the request is estimated to be longer than the model's `context_tokens`.
    """
    request = request_of(payload, settings)
    model = settings.model(request.model)
    if model is None or model.context_tokens is None:
        return request, None
    asked, answer = tokens_of_input(request.input), int(request.max_output_tokens or 0)
    if asked + answer <= model.context_tokens:
        return request, None
    if places := payload.get("document_at"):
        kept = answer or min(ANSWER_TOKENS, int(model.context_tokens * ANSWER_SHARE))
        room = int((model.context_tokens - kept) * SHARE)
        if shortened := _shortened(payload["messages"], places, room):
            messages, cut = shortened
            return request_of({**payload, "messages": messages}, settings), cut
    also = f" and up to {answer:,} of the answer" if answer else ""
    raise TaskFailed(
        "context_exceeded",
        f"The request has about {asked:,} tokens{also}; {name}/{request.model} takes {model.context_tokens:,} "
        f"(context_tokens of the connection). Nothing was sent. {_advice(payload)}",
        retryable=False,
    )


def _advice(payload: Mapping[str, Any]) -> str:
    if (payload.get("document") or {}).get("part"):
        return "Choose smaller parts (part_characters of the batch) or another model."
    return "Shorten the document, choose another model, or set the batch's on_too_long to truncate or split."


def _shortened(
    messages: list[dict[str, str]], places: list[dict[str, int]], room: int
) -> tuple[list[dict[str, str]], dict[str, int]] | None:
    """Leave of the document's text, wherever it is in the messages, so much that all fit into `room` tokens.

    None if there is no room for any of it.
    """
    first = places[0]
    text = messages[first["message"]]["content"][first["start"] : first["end"]]
    others = tokens_of_input(messages) - len(places) * tokens_of_text(text)
    sent = beginning(text, (room - others) // len(places))
    if not sent.strip():
        return None
    changed = [dict(each) for each in messages]
    for place in reversed(places):  # from the end: the places before it stay where they are
        content = changed[place["message"]]["content"]
        changed[place["message"]]["content"] = content[: place["start"]] + sent + content[place["end"] :]
    return changed, {"characters": len(text), "sent": len(sent)}
