"""Makes the executor that runs the tasks: any `concurrent.futures.Executor`. Threads are the default."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import cast

from app.worker.named_functions import import_function


def make_executor(name: str, size: int, scheduler: str | None = None) -> Executor:
    """Make an executor for `size` tasks at the same time.

    `name` is `threads`, `processes`, `dask` (with the address of its scheduler), or `module:function`: that function
    is called with the size. Raises ImportError with a sentence when there is no such function or package, and OSError
    when no scheduler answers.
    """
    if name == "threads":
        return ThreadPoolExecutor(size, thread_name_prefix="task")
    if name == "processes":
        from app.worker.executors.process_executor import ProcessExecutor  # slow to import, and few want it

        return ProcessExecutor()
    if name == "dask":
        try:
            from app.worker.executors.dask_executor import DaskExecutor  # its package is optional
        except ImportError as error:
            raise ImportError(f"dask needs the packages of requirements-dask.txt: {error}.") from error
        return DaskExecutor(scheduler or "")
    factory = cast(Callable[[int], Executor], import_function(name))
    return factory(size)
