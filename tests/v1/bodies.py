"""What model servers answer to a line, each with its endpoint: the file of a batch has to hold it as it was sent."""

from typing import Any, NamedTuple

CHAT, EMBEDDINGS, RESPONSES = "/v1/chat/completions", "/v1/embeddings", "/v1/responses"
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def chat(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    numbered = [
        {"index": number, "logprobs": None, "finish_reason": "stop", **each} for number, each in enumerate(choices)
    ]
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_774_653_779, "model": "m-2026",
        "choices": numbered, "usage": USAGE, "service_tier": "default", "system_fingerprint": "fp_ü", **more,
    }  # fmt: skip


def said(content: Any, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish_reason}


TOOL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.0}'}}
LOGPROBS = {"content": [{"token": "a", "logprob": -0.31725305, "bytes": [97], "top_logprobs": []}]}
FILTERED = {"hate": {"filtered": True, "severity": "high"}}


class Sent(NamedTuple):
    """An answer: the endpoint, the body and its status."""

    url: str
    body: dict[str, Any]
    status: int = 200


BODIES: dict[str, Sent] = {
    "plain": Sent(CHAT, chat(said("Grüße \u0000\ud7ff 𝄞"))),
    "tool calls": Sent(CHAT, chat(said(None, "tool_calls", tool_calls=[TOOL]))),
    "three choices": Sent(CHAT, chat(said("a"), said("b"), said("c"))),
    "logprobs": Sent(CHAT, chat({**said("a"), "logprobs": LOGPROBS})),
    "refusal": Sent(CHAT, chat(said(None, refusal="I cannot do that."))),
    "length": Sent(CHAT, chat(said("", "length"))),
    "content filter": Sent(CHAT, chat({**said(None, "content_filter"), "content_filter_results": FILTERED})),
    "floats": Sent(EMBEDDINGS, {"object": "list", "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -2.5e-08, 1e22]}]}),
    "base64": Sent(EMBEDDINGS, {"object": "list", "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "data": [{"object": "embedding", "index": 0, "embedding": "zczMPQ=="}]}),
    "responses": Sent(RESPONSES, {"id": "resp_1", "object": "response", "status": "completed", "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]}],
        "usage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9,
                  "input_tokens_details": {"cached_tokens": 1}, "output_tokens_details": {"reasoning_tokens": 0}}}),
    "completions": Sent("/v1/completions", {"id": "cmpl-1", "object": "text_completion", "model": "m",
        "choices": [{"text": "", "index": 0, "finish_reason": "stop", "logprobs": None}], "usage": USAGE}),
    "moderations": Sent("/v1/moderations", {"id": "modr-1", "model": "omni", "results": [
        {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9999}}]}),
    "bad request": Sent(CHAT, {"error": {"message": "too long", "type": "invalid_request_error", "param": "messages",
        "code": "context_length_exceeded"}}, 400),
    "not found": Sent(EMBEDDINGS, {"error": {"message": "no such thing", "type": "invalid_request_error", "param": None,
        "code": "unknown_url"}}, 422),
    "429": Sent(CHAT, {"error": {"message": "Request too large for m: Limit 100, Requested 900.", "type": "tokens",
        "param": None, "code": "rate_limit_exceeded"}}, 429),
}  # fmt: skip
