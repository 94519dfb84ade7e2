"""What one body says: the answer as every endpoint's reader gives it, and why it may be none."""

from dataclasses import dataclass

from app.worker.answers.found_json import without_thoughts
from app.worker.connections.tokens import Tokens
from app.worker.task import TaskFailed

LONGEST_WORDS = 1_000  # characters of a refusal in a message


@dataclass(frozen=True)
class Answer:
    """`wordless`: it says something other than text, such as tool calls. `thoughts`: where its reasoning stands."""

    text: str = ""
    finish_reason: str | None = None
    refusal: str | None = None
    thoughts: str | None = None
    wordless: bool = False

    @property
    def says_nothing(self) -> bool:
        return not self.wordless and not without_thoughts(self.text).strip()


def objection(name: str, answer: Answer, tokens: Tokens | None) -> TaskFailed | None:
    """Say why an answer of connection `name` counts as none; None when it counts."""
    if answer.finish_reason == "error":
        return TaskFailed("server_error", f"{name} broke off its answer: finish_reason is error.")
    if answer.finish_reason and answer.finish_reason.startswith("content_filter"):  # Gemini adds a reason
        message = f"{name} withheld the answer: its content filter was set off."
        return TaskFailed("content_filter", message, retryable=False)
    if not answer.says_nothing:
        return None
    if answer.refusal:
        return TaskFailed("refused", f"The model refuses: {answer.refusal[:LONGEST_WORDS]}", retryable=False)
    return TaskFailed("empty_answer", f"{name} sent no text: {_where(answer, tokens)}.", retryable=False)


def _where(answer: Answer, tokens: Tokens | None) -> str:
    """Say where the words went, as far as it shows."""
    thoughts = "its think block" if answer.text.strip() else answer.thoughts
    reasoning = tokens.reasoning if tokens else None
    if thoughts:
        went = f"the words are in {thoughts}"
    elif reasoning:
        went = f"the model spent {reasoning} reasoning tokens and wrote nothing"
    else:
        went = "the answer is empty"
    return f"{went}; finish_reason is {answer.finish_reason}"
