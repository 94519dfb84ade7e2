"""Imports functions that the command line names as `package.module:function`."""

import importlib
from collections.abc import Callable
from typing import Any


def import_function(name: str) -> Callable[..., Any]:
    """Import the function that `package.module:function` names. Raises ImportError with a sentence."""
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise ImportError(f"{name!r} does not name a function: write it as package.module:function.")
    try:
        found: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"{name!r} cannot be imported: {error}.") from error
    if not callable(found):
        raise ImportError(f"{name!r} is not a function.")
    return found
