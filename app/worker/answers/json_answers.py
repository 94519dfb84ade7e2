"""Reads the JSON of a model's answer and checks it against a JSON Schema."""

from typing import Any

from app.worker.answers import schema_check
from app.worker.answers.found_json import find_json
from app.worker.answers.schema_check import BadSchema
from app.worker.task import TaskFailed

CUT_OFF = "length"  # the finish_reason of an answer that reached the limit of its tokens


class NotJson(ValueError):
    """The text is not JSON."""


def parse_json(text: str) -> Any:
    """Find the JSON in an answer, whatever the model wrote around it. Raises NotJson."""
    for value in find_json(text):
        return value
    raise NotJson("The answer is not JSON.")


def check_result(result: dict[str, Any], schema: Any) -> dict[str, Any]:
    """Return the result with its `json`, which matches the schema.

    Raises TaskFailed: `schema_mismatch`, with the usage, since another attempt may match (but not retryable if the
    answer was cut off, as another one would be); `bad_schema`, not retryable.
    """
    values = [result["json"]] if "json" in result else list(find_json(str(result.get("text", ""))))
    problems = []
    for value in values:
        problem = mismatch(value, schema)
        if problem is None:
            return {**result, "json": value}
        problems.append(problem)
    message = problems[0] if problems else "The answer is not JSON."
    is_cut = result.get("finish_reason") == CUT_OFF
    if is_cut:
        message = f"The answer was cut off at the limit of its tokens (finish_reason is {CUT_OFF}). {message}"
    raise TaskFailed("schema_mismatch", message, retryable=not is_cut, usage=result.get("usage"))


def mismatch(value: Any, schema: Any) -> str | None:
    """Explain where and why a value does not match; None when it does. Raises TaskFailed for an unusable schema."""
    try:
        return schema_check.mismatch(value, schema)
    except BadSchema as error:
        raise TaskFailed("bad_schema", str(error), retryable=False) from error
