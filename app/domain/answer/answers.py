"""Answers: which part of a worker's result is the answer, when two answers are equal, and what the score is.

A prompt with a JSON Schema is answered in JSON, any other prompt in text. The score is the property `score` of the
answer, if the schema declares it as a number.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from app.domain.answer.server_answers import is_response, text_of

SCORE = "score"
_NUMBERS = {"number", "integer"}


def answer_of(result: Mapping[str, Any] | None, in_json: bool) -> Any:
    """Find the answer in a result: `json` or `text`, else the other fields, as a custom handler gives them, or None."""
    if result is None:
        return None
    if is_response(result):
        return text_of(result["body"]) or result["body"]
    for name in ("json", "text") if in_json else ("text", "json"):
        if result.get(name) is not None:
            return result[name]
    return {name: value for name, value in result.items() if name not in ("json", "text", "usage")} or None


def comparable(answer: Any, in_json: bool) -> tuple[bool, str]:
    """Give a form that is the same for equal answers: equal JSON, or text that differs only in white space and case."""
    if isinstance(answer, str) and not in_json:
        return False, " ".join(answer.split()).casefold()
    return True, json.dumps(_plain(answer), sort_keys=True)


def fingerprint(answer: Any, in_json: bool) -> bytes:
    """Give a short form that is the same for equal answers, and different for different ones."""
    of_json, text = comparable(answer, in_json)
    return hashlib.sha256(b"%d" % of_json + text.encode("utf-8", "surrogatepass")).digest()


def _plain(value: Any) -> Any:
    """Write 1.0 as 1: they are the same number in JSON Schema, and models write both."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def has_score(schema: Mapping[str, Any] | None) -> bool:
    """Whether a valid schema has a property `score` that is a number."""
    score = ((schema or {}).get("properties") or {}).get(SCORE)
    kind = score.get("type") if isinstance(score, Mapping) else None
    return bool(_NUMBERS & {kind} if isinstance(kind, str) else _NUMBERS & set(kind or ()))


def score_of(answer: Any) -> int | float | None:
    """Read the score of an answer to a prompt that has one; None if it is missing or not a number."""
    score = answer.get(SCORE) if isinstance(answer, dict) else None
    return score if isinstance(score, int | float) and not isinstance(score, bool) else None
