"""What is kept: one noun a class, with the reason beside each index and constraint."""

from app.db import Base
from app.models.access import ApiToken, IdempotencyKey, PageSession, SignInLink
from app.models.audit import IS_WAITING, AuditRow, StateChangeRequest
from app.models.batch import Batch, Document, Model, Prompt, ReadyTarget, ReadyTask
from app.models.connection import IS_CLOSED, Circuit
from app.models.deletion import WHOLE_BATCH, Deletion
from app.models.file import File, FileChunk, FilePart, Upload
from app.models.file_batch import FileBatch
from app.models.progress import ProgressSample
from app.models.task import (
    IS_FAILED,
    IS_LEASED,
    IS_PAID,
    IS_QUEUED,
    IS_TIMED,
    LateResult,
    Task,
    TaskCounts,
    UsageCounts,
    in_key_index,
)
from app.models.webhook import IS_PENDING, Delivery, MessagePlace, Notice, Webhook
from app.models.worker import WorkerSighting

__all__ = [
    "IS_CLOSED",
    "IS_FAILED",
    "IS_LEASED",
    "IS_PAID",
    "IS_PENDING",
    "IS_QUEUED",
    "IS_TIMED",
    "IS_WAITING",
    "WHOLE_BATCH",
    "ApiToken",
    "AuditRow",
    "Base",
    "Batch",
    "Circuit",
    "Deletion",
    "Delivery",
    "Document",
    "File",
    "FileBatch",
    "FileChunk",
    "FilePart",
    "IdempotencyKey",
    "LateResult",
    "MessagePlace",
    "Model",
    "Notice",
    "PageSession",
    "ProgressSample",
    "Prompt",
    "ReadyTarget",
    "ReadyTask",
    "SignInLink",
    "StateChangeRequest",
    "Task",
    "TaskCounts",
    "Upload",
    "UsageCounts",
    "Webhook",
    "WorkerSighting",
    "in_key_index",
]
