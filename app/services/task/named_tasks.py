"""Tasks with the names of what they are about: document, prompt, model, and the custom id of a ready-made line."""

from typing import Any

from sqlalchemy import Select, exists, select

from app.domain.documents import PromptInput
from app.models import Document, Model, Prompt, ReadyTask, Task

OF_DOCUMENT = Document.id == Task.document_id
OF_PROMPT = (Prompt.batch_id == Task.batch_id) & (Prompt.number == Task.prompt_number)
OF_MODEL = (Model.batch_id == Task.batch_id) & (Model.number == Task.model_number)
OF_LINE = (ReadyTask.batch_id == Task.batch_id) & (ReadyTask.number == Task.ready_number)
# Whether its prompt gets pictures of the document.
GETS_IMAGES = exists().where(OF_PROMPT, Prompt.input == PromptInput.IMAGES).correlate(Task)


def named_tasks(*columns: Any, connection: Any = Model.connection, model: Any = Model.model) -> Select[Any]:
    """Select columns of tasks, with `document_name`, `prompt_name`, `connection`, `model` and `custom_id`.

    There is one row for each task; a name that a task does not have is NULL.
    """
    return (
        select(
            *columns,
            Document.name.label("document_name"),
            Prompt.name.label("prompt_name"),
            connection.label("connection"),
            model.label("model"),
            ReadyTask.custom_id,
        )
        .join(Document, OF_DOCUMENT, isouter=True)
        .join(Prompt, OF_PROMPT, isouter=True)
        .join(Model, OF_MODEL, isouter=True)
        .join(ReadyTask, OF_LINE, isouter=True)
    )
