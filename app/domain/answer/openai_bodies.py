"""The body of a completed task in the output file of the OpenAI Batch API. Knows results, no SQL.

What a model server sent stays unchanged. Of any other result, one with a `text` becomes a chat completion, and one
with `embeddings` a list of embeddings; the rest is the body as it is.
"""

from collections.abc import Mapping
from typing import Any


def openai_body(row: Any, result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make the body of a task's row and its result."""
    if isinstance(result.get("body"), Mapping):
        return dict(result["body"])
    if isinstance(result.get("embeddings"), list) and "data" not in result:
        return _embeddings(row, result)
    if isinstance(result.get("text"), str) and "choices" not in result:
        return _completion(row, result)
    return result


def _completion(row: Any, result: Mapping[str, Any]) -> Mapping[str, Any]:
    message = {"role": "assistant", "content": result["text"]}
    return {
        "id": f"chatcmpl-{row.id}",
        "object": "chat.completion",
        "created": int(row.finished_at.timestamp()),
        "model": _model(row),
        "choices": [{"index": 0, "message": message, "finish_reason": result.get("finish_reason") or "stop"}],
        "usage": _usage(result.get("usage")),
    }


def _embeddings(row: Any, result: Mapping[str, Any]) -> Mapping[str, Any]:
    rows = [{"object": "embedding", "index": n, "embedding": each} for n, each in enumerate(result["embeddings"])]
    return {"object": "list", "data": rows, "model": _model(row), "usage": _usage(result.get("usage"))}


def _model(row: Any) -> Any:
    return row.model if row.body is None else row.body.get("model")


def _usage(usage: Any) -> dict[str, int] | None:
    if not isinstance(usage, Mapping):
        return None
    tokens = [usage.get(name) for name in ("input_tokens", "output_tokens")]
    read, written = (each if isinstance(each, int) else 0 for each in tokens)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
