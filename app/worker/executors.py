"""What work runs on: any `concurrent.futures.Executor`. Threads by default, for handlers that wait for a network."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import cast

from app.worker.imports import imported
from app.worker.processes import Processes


def make_executor(name: str, size: int, scheduler: str | None = None) -> Executor:
    """Make an executor for `size` tasks at once: `threads`, `processes`, `dask` at the address of a scheduler, or
    `module:function` called with the size.

    Raises ImportError with a sentence where there is no such function or package, OSError where no scheduler answers.
    """
    if name == "threads":
        return ThreadPoolExecutor(size, thread_name_prefix="task")
    if name == "processes":
        return Processes()
    if name == "dask":
        try:
            from app.worker.cluster import Cluster  # an extra: loaded by who asks for it
        except ImportError as error:
            raise ImportError(f"dask needs the packages of requirements-dask.txt: {error}.") from error
        return Cluster(scheduler or "")
    factory = cast(Callable[[int], Executor], imported(name))
    return factory(size)
