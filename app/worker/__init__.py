"""The queue worker: a client of the HTTP API. It knows only what the API answers.

Authors of handlers need `Task`, `TaskFailed` and `ConnectionClosed`: see docs/workers.md.
"""

from app.worker.task import ConnectionClosed as ConnectionClosed
from app.worker.task import Handler as Handler
from app.worker.task import Task as Task
from app.worker.task import TaskFailed as TaskFailed
