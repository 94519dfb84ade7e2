"""The metadata of a batch: pairs of texts, kept as they are; those named `interlock.*` set options of the batch."""

import math
from collections.abc import Mapping
from typing import Any

from app.domain.file.batches import LONGEST_KEY, LONGEST_VALUE, MOST_PAIRS
from app.domain.money import MOST_COST
from app.v1.errors import ApiError, wrong

MAX_COST, REUSE = "interlock.max_cost", "interlock.reuse"
ALL = "all"  # the value of REUSE: equal lines share an answer when a batch is retried


def pairs(given: Any) -> Mapping[str, str] | None:
    """Read the pairs; None without any. Raises ApiError."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise wrong("metadata", "Invalid type for 'metadata': expected an object.", "invalid_type")
    if len(given) > MOST_PAIRS:
        raise wrong("metadata", f"Invalid 'metadata': at most {MOST_PAIRS} pairs.", "object_above_max_properties")
    for key, value in given.items():
        if not isinstance(value, str):
            message = f"Invalid type for 'metadata.{key}': expected a string."
            raise wrong(f"metadata.{key[:LONGEST_KEY]}", message, "invalid_type")
        if len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE or "\0" in key + value:
            message = f"keys have up to {LONGEST_KEY} characters, values up to {LONGEST_VALUE}"
            raise wrong(f"metadata.{key[:LONGEST_KEY]}", f"Invalid 'metadata': {message}.", "string_above_max_length")
    return dict(given)


def max_cost(given: Any) -> float | None:
    """Read the budget of the run; None without one. Raises ApiError."""
    value = (given or {}).get(MAX_COST)
    if value is None:
        return None
    try:
        amount = float(value)
    except ValueError:
        amount = math.nan
    if not 0 <= amount <= MOST_COST:
        raise _wrong(MAX_COST, f"a number from 0 to {MOST_COST:g}")
    return amount


def reuses(given: Any) -> bool:
    """Read whether equal lines share an answer. Raises ApiError."""
    value = (given or {}).get(REUSE)
    if value not in (None, ALL):
        raise _wrong(REUSE, f"'{ALL}'")
    return value == ALL


def _wrong(key: str, wanted: str) -> ApiError:
    return wrong(f"metadata.{key}", f"Invalid value for 'metadata.{key}': it has to be {wanted}.")
