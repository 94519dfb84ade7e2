"""Shows the progress of a batch: as bars on a terminal, elsewhere as a line every few seconds."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

LINE_SECONDS = 5.0  # between two lines where there is no terminal


class ProgressDisplay:
    """Call `show` with the batch as often as it is read."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bars: dict[str, TaskID] = {}
        self._printed_state, self._printed_at = "", 0.0
        self._printed_waiting: list[str] = []

    def __enter__(self) -> "ProgressDisplay":
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def show(self, batch: dict[str, Any]) -> None:
        counts = {
            phase: (counted["completed"] + counted["failed"], counted["total"])
            for phase, counted in batch["progress"].items()
            if counted["total"]
        }
        for phase, (done, total) in counts.items():
            if phase not in self._bars:
                self._bars[phase] = self._progress.add_task(phase)
            self._progress.update(self._bars[phase], completed=done, total=total)
        if not self._console.is_terminal:
            self._print_now_and_then(batch["state"], counts)

    def show_waiting(self, sentences: list[str]) -> None:
        """Print what the tasks wait for, once as long as it stays the same."""
        if sentences != self._printed_waiting:
            self._printed_waiting = sentences
            for sentence in sentences:
                self._console.print(Text(sentence, style="yellow"), soft_wrap=True)

    def _print_now_and_then(self, state: str, counts: dict[str, tuple[int, int]]) -> None:
        now = time.monotonic()
        if state == self._printed_state and now - self._printed_at <= LINE_SECONDS:
            return
        self._printed_state, self._printed_at = state, now
        line = ", ".join(f"{phase} {done}/{total}" for phase, (done, total) in counts.items())
        self._console.print(f"{state}: {line or 'nothing to do yet'}", soft_wrap=True)
