"""Runs coroutines in a thread of their own: Playwright may have an event loop in the thread of the tests."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.waiting import LIMIT_SECONDS


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(asyncio.wait_for(coroutine, LIMIT_SECONDS))).result()
