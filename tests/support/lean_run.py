"""Hooks of pytest that make a run of thousands of tests cheaper. They change nothing that a test sees."""

import gc
from collections.abc import Generator
from typing import Any

import pytest

from tests.support.server import FolderServers

GARBAGE_OBJECTS = 50_000  # between two collections; Python's own 700 are a test's first few calls
SERVERS = pytest.StashKey[FolderServers]()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Collect the tests without garbage collections, leave what was made for them out of later ones, and make few."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(GARBAGE_OBJECTS)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Drop what a test that passed has printed, which xdist would send to its controller, unless `-rP` asks for it."""
    report = yield
    if report.passed and not {"A", "P"} & set(item.config.option.reportchars):
        report.sections = []
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
    """End the servers of a folder when the next test is another folder's."""
    result = yield
    if nextitem is not None and nextitem.path.parent != item.path.parent and SERVERS in item.config.stash:
        item.config.stash[SERVERS].end()
    return result
