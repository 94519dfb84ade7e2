"""Every refusal that the service can raise, found by importing all of its modules."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache

import app
from app.errors import Refusal


@cache
def every_refusal() -> set[type[Refusal]]:
    """Import the whole service and collect the subclasses of Refusal."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return set(_subclasses(Refusal))


def _subclasses(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
