"""What model servers answer, as they send it, and what has to come of each answer.

The shapes follow public reports: Mistral (content in parts), OpenAI (refusals, tool calls, cached tokens, Responses),
LM Studio and vLLM (`reasoning_content`, `reasoning`), OpenRouter (errors inside a 200, 402, 403), llama.cpp (half of
a UTF-8 sequence), SGLang (`NaN` among the log probabilities), DeepSeek and Qwen (`<think>`).
"""

from dataclasses import dataclass, field
from typing import Any

from tests.edges.scripted_server import Reply

USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
COST = (10 * 1 + 20 * 2) / 1_000_000  # by the prices of the test's connections
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ASKED_AGAIN = 2  # calls: the failed attempt, and the one that is answered


def chat(content: Any, finish_reason: str | None = "stop", usage: Any = USAGE, **message: Any) -> dict[str, Any]:
    """A chat completion with one choice."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason,
    }
    return {
        "id": "chatcmpl-7f3a",
        "object": "chat.completion",
        "created": 1_774_653_779,
        "model": "m-2026-01-01",
        "choices": [choice],
        "usage": usage,
    }


FINE = Reply(chat("Four."))


@dataclass(frozen=True)
class Row:
    """The replies of a server to one question, in turn, and what has to come of them."""

    name: str
    replies: list[Reply]
    status: str = "COMPLETED"
    code: str | None = None
    text: str | None = None
    json: Any = None
    words: tuple[str, ...] = ()  # that the error's message has
    calls: int = 1
    usage: dict[str, Any] = field(default_factory=lambda: {"input_tokens": 10, "output_tokens": 20, "cost": COST})


def said(name: str, body: Any, text: str, **more: Any) -> Row:
    return Row(name, [Reply(body)], text=text, **more)


def failed(name: str, body: Any, code: str, *words: str, **more: Any) -> Row:
    return Row(name, [body if isinstance(body, Reply) else Reply(body)], "FAILED", code, words=words, **more)


def _is_counted(usage: Any) -> bool:
    return bool(usage and usage["prompt_tokens"])


def again(name: str, *bad: Any) -> Row:
    """Failed attempts, and a last call that is answered well; those that the server counted are in `usage`."""
    replies = [each if isinstance(each, Reply) else Reply(each) for each in bad]
    paid = 1 + sum(isinstance(each.body, dict) and _is_counted(each.body.get("usage")) for each in replies)
    usage = {"input_tokens": 10 * paid, "output_tokens": 20 * paid, "cost": COST * paid}
    return Row(name, [*replies, FINE], text="Four.", calls=1 + len(replies), usage=usage)


def as_text(content: bytes) -> bytes:
    """A chat completion whose content is these bytes, as they stand between the quotation marks."""
    return Reply(chat("@@")).content.replace(b"@@", content)


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Two and two."}], "closed": True}
PROVIDER = {"message": "Provider returned error", "code": 502, "metadata": {"raw": "overloaded", "provider_name": "X"}}
RATE = {"message": "Rate limit exceeded: free-models-per-min.", "code": 429}
NOTHING_USED: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0, "cost": 0}

PROMPT_ROWS = [
    said("plain", chat("Four."), "Four."),
    said("parts", chat([{"type": "text", "text": "Fo"}, {"type": "text", "text": "ur."}]), "Four."),
    said("thinking parts", chat([THINKING, {"type": "text", "text": "Four."}]), "Four."),
    said("output text parts", chat([{"type": "output_text", "text": "Four.", "annotations": []}]), "Four."),
    said("parts of plain texts", chat(["Fo", "ur."]), "Four."),
    said("one part", chat({"type": "text", "text": "Four."}), "Four."),
    said("reasoning beside an answer", chat("Four.", reasoning_content="Two and two."), "Four."),
    failed("refusal", chat(None, refusal="I can't help with that."), "refused", "I can't help with that."),
    failed("refusal and empty text", chat("", refusal="I'm sorry, no."), "refused", "I'm sorry, no."),
    failed("refusal part", chat([{"type": "refusal", "refusal": "I won't."}]), "refused", "I won't."),
    failed(
        "empty beside reasoning content",
        chat("", reasoning_content="Two and two is four."),
        "empty_answer",
        "reasoning_content",
    ),
    failed("null beside reasoning", chat(None, "length", reasoning="Two and"), "empty_answer", "reasoning", "length"),
    failed("blank beside reasoning", chat("\n\n", reasoning="Two and two."), "empty_answer", "reasoning"),
    failed("thinking parts alone", chat([THINKING]), "empty_answer", "thinking"),
    failed(
        "hidden reasoning alone",
        chat("", "length", {**USAGE, "completion_tokens_details": {"reasoning_tokens": 20}}),
        "empty_answer",
        "20 reasoning tokens",
    ),
    failed("null and nothing else", chat(None), "empty_answer"),
    again("finish reason error", chat('{"events": [{"title": "partial', "error")),
    again("finish reason error without usage", chat("Fo", "error", {"prompt_tokens": None, "completion_tokens": None})),
    again("choices beside an error", {**chat("Fo"), "error": PROVIDER}),
    again(
        "an error within the choice",
        {
            **chat(""),
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "error",
                    "message": {"role": "assistant", "content": ""},
                    "error": PROVIDER,
                }
            ],
        },
    ),
    again("an error alone", {"error": PROVIDER, "user_id": "user_1"}),
    again("a rate limit in a 200", Reply({"error": RATE}, headers={"Retry-After": "0"})),
    again("a rate limit in a 200 as text", Reply({"error": {**RATE, "code": "429"}}, headers={"Retry-After": "0"})),
    again("a rate limit in a 200 for a while", *[Reply({"error": RATE}, headers={"Retry-After": "0"})] * 5),
    failed(
        "a status in words",
        {"error": {"message": "Bad max_tokens.", "code": "422"}},
        "request_refused",
        usage=NOTHING_USED,
    ),
    failed("a think block alone", chat("<think>Two and two is four.</think>\n"), "empty_answer", "think block"),
    failed(
        "a think block that was cut", chat("<think>Two and two is", "length"), "empty_answer", "think block", "length"
    ),
    failed(
        "gemini filter",
        {**chat(""), "choices": [{"index": 0, "finish_reason": "content_filter: PROHIBITED_CONTENT"}]},
        "content_filter",
    ),
    again("an error of one sentence", {"error": "model runner has unexpectedly stopped"}),
    failed(
        "a bad request in a 200",
        {"error": {"message": "max_tokens is too large", "code": 400}},
        "request_refused",
        "max_tokens is too large",
        usage=NOTHING_USED,
    ),
    failed(
        "vllm error in a 200",
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens.",
            "type": "BadRequestError",
            "code": 400,
        },
        "request_refused",
        "4096",
        usage=NOTHING_USED,
    ),
    failed(
        "a filter in a 200",
        {"error": {"message": "Filtered.", "code": "content_filter"}},
        "content_filter",
        "Filtered.",
        usage=NOTHING_USED,
    ),
    failed("withheld", chat("", "content_filter"), "content_filter"),
    said("half a pair", as_text(b"Four \\ud83d."), "Four \ufffd."),
    said("a pair in two halves", as_text(b"Four \\ud83d\\ude00."), "Four \U0001f600."),
    said("bad utf-8", as_text(b"Four \xe6\x80."), "Four \ufffd."),
    said("latin-1", as_text(b"gr\xfc\xdfe"), "gr\ufffd\ufffde"),
    said("byte order mark", b"\xef\xbb\xbf" + FINE.content, "Four."),
    said(
        "nan",
        FINE.content.replace(
            b'"index":0',
            b'"index":0,"logprobs":{"content":[{"logprob":NaN},{"logprob":-Infinity},{"logprob":Infinity}]}',
        ),
        "Four.",
    ),
    said("raw newline in a text", as_text(b"Four\n."), "Four\n."),
    said(
        "tool calls",
        chat(
            None,
            "tool_calls",
            tool_calls=[{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        ),
        "",
    ),
    said("no finish reason", chat("Four.", None), "Four."),
    said(
        "cached tokens",
        chat(
            "Four.",
            usage={
                "prompt_tokens": 10,
                "completion_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 16},
            },
        ),
        "Four.",
        usage={"input_tokens": 10, "output_tokens": 20, "cost": (2 * 1 + 8 * 0.1 + 20 * 2) / 1_000_000},
    ),
    said(
        "cached tokens of deepseek",
        chat("Four.", usage={**USAGE, "prompt_cache_hit_tokens": 10, "prompt_cache_miss_tokens": 0}),
        "Four.",
        usage={"input_tokens": 10, "output_tokens": 20, "cost": (10 * 0.1 + 20 * 2) / 1_000_000},
    ),
]

N = {"n": 4}
FENCED = '```json\n{"n": 4}\n```'
SCHEMA_ROWS = [
    said("schema plain", chat('{"n": 4}'), '{"n": 4}', json=N),
    said(
        "schema think",
        chat('<think>\n{"n": 0}? No.\n</think>\n\n{"n": 4}'),
        '<think>\n{"n": 0}? No.\n</think>\n\n{"n": 4}',
        json=N,
    ),
    said(
        "schema think without its begin",
        chat('Two {and} two.\n</think>\n{"n": 4}'),
        'Two {and} two.\n</think>\n{"n": 4}',
        json=N,
    ),
    said("schema think and a fence", chat(f"<think>Hm.</think>\n{FENCED}"), f"<think>Hm.</think>\n{FENCED}", json=N),
    said(
        "schema prose around a fence",
        chat(f"Here it is:\n\n{FENCED}\n\nAnything else?"),
        f"Here it is:\n\n{FENCED}\n\nAnything else?",
        json=N,
    ),
    said("schema prose around braces", chat('Sure! {"n": 4} Anything else?'), 'Sure! {"n": 4} Anything else?', json=N),
    said("schema list before the braces", chat('[1] says: {"n": 4}'), '[1] says: {"n": 4}', json=N),
    said("schema byte order mark", chat('\ufeff{"n": 4}'), '\ufeff{"n": 4}', json=N),
    said("schema parts", chat([THINKING, {"type": "text", "text": '{"n": 4}'}]), '{"n": 4}', json=N),
    failed("schema refusal", chat(None, refusal="I can't."), "refused", "I can't."),
    failed("schema cut", chat('{"n": 4, "why": "beca', "length"), "schema_mismatch", "cut", "length"),
    failed("schema in the reasoning", chat("", reasoning_content='{"n": 4}'), "empty_answer", "reasoning_content"),
    Row(
        "schema mismatch",
        [Reply(chat("Four.")), Reply(chat('{"n": 4}'))],
        text='{"n": 4}',
        json=N,
        calls=ASKED_AGAIN,
        usage={"input_tokens": 20, "output_tokens": 40, "cost": COST * 2},
    ),
]


@dataclass(frozen=True)
class Line:
    """A ready-made line, the body that a server answers it with, and its tokens."""

    name: str
    url: str
    asked: dict[str, Any]
    body: dict[str, Any]
    text: str | None = None
    tokens: tuple[int, int] = (10, 20)


def _asked(name: str, **body: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": f"<<{name}>>"}], **body}


MANY = {
    **chat("Four."),
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Four.", "refusal": None, "annotations": []},
            "logprobs": {
                "content": [{"token": "Four", "logprob": -0.1, "bytes": [70], "top_logprobs": []}],
                "refusal": None,
            },
            "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "refusal": "No."},
            "logprobs": None,
            "finish_reason": "stop",
        },
        {
            "index": 2,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        },
    ],
    "usage": {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}
EMBEDDED = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
    "model": "v",
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}
COMPLETED = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1_774_653_779,
    "model": "m",
    "choices": [{"text": " four.", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    "usage": USAGE,
}
RESPONDED = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_774_653_779,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "m",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Four.", "annotations": []}],
        },
    ],
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 30,
    },
}
MODERATED = {
    "id": "modr-1",
    "model": "omni-moderation-latest",
    "results": [{"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 0.01}}],
}
LINES = [
    Line("line chat", "/v1/chat/completions", _asked("line chat"), chat("Four."), "Four."),
    Line(
        "line several choices",
        "/v1/chat/completions",
        _asked("line several choices", n=3, logprobs=True),
        MANY,
        "Four.",
    ),
    Line("line without v1", "/chat/completions", _asked("line without v1"), chat("Four."), "Four."),
    Line("line responses", "/v1/responses", {"model": "m", "input": "<<line responses>>"}, RESPONDED, "Four."),
    Line("line completions", "/v1/completions", {"model": "m", "prompt": "<<line completions>>"}, COMPLETED, " four."),
    Line(
        "line moderations", "/v1/moderations", {"model": "m", "input": "<<line moderations>>"}, MODERATED, tokens=(0, 0)
    ),
    Line(
        "line embeddings", "/v1/embeddings", {"model": "m", "input": ["<<line embeddings>>"]}, EMBEDDED, tokens=(5, 0)
    ),
]
