"""What is kept: one noun a class, with the reason beside each index and constraint."""

from app.db import Base
from app.models.access import ApiToken, IdempotencyKey, SignInLink
from app.models.audit import AuditRow, StateChangeRequest
from app.models.batch import Batch, Document, Model, Prompt, ReadyTask
from app.models.progress import ProgressSample
from app.models.task import IS_FAILED, IS_LEASED, LateResult, Task, TaskCounts, UsageCounts
from app.models.worker import WorkerSighting

__all__ = [
    "IS_FAILED",
    "IS_LEASED",
    "ApiToken",
    "AuditRow",
    "Base",
    "Batch",
    "Document",
    "IdempotencyKey",
    "LateResult",
    "Model",
    "ProgressSample",
    "Prompt",
    "ReadyTask",
    "SignInLink",
    "StateChangeRequest",
    "Task",
    "TaskCounts",
    "UsageCounts",
    "WorkerSighting",
]
