"""The queue worker: a client of the HTTP API like anyone's. It knows nothing of batches but what the API says.

Authors of handlers need `Task` and `TaskFailed`; see docs/workers.md.
"""

from app.worker.task import Handler as Handler
from app.worker.task import Task as Task
from app.worker.task import TaskFailed as TaskFailed
