"""What a process has read of batches lately: for how long it is kept, of what it was read, and of how many batches."""

from app.batch_memory import MOST_BATCHES, BatchMemory

SECONDS = 30.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_read_is_kept_for_some_seconds() -> None:
    clock = Clock()
    memory: BatchMemory[list[str]] = BatchMemory(SECONDS, clock)
    assert memory.get(1) is None
    assert memory.put(1, ["read"]) == ["read"]
    clock.now = SECONDS - 0.1
    assert memory.get(1) == ["read"]
    clock.now = SECONDS
    assert memory.get(1) is None


def test_something_empty_is_kept_too() -> None:
    memory: BatchMemory[list[str]] = BatchMemory(SECONDS, Clock())
    memory.put(1, [])
    assert memory.get(1) == []


def test_what_was_read_of_another_run_is_not_given() -> None:
    memory: BatchMemory[str] = BatchMemory(SECONDS, Clock())
    memory.put(1, "first", of=1)
    assert memory.get(1, of=1) == "first"
    assert memory.get(1, of=2) is None
    memory.put(1, "second", of=2)
    assert memory.get(1, of=1) is None
    assert memory.get(1, of=2) == "second"


def test_of_too_many_batches_those_read_longest_ago_are_dropped() -> None:
    memory: BatchMemory[int] = BatchMemory(SECONDS, Clock())
    for batch_id in range(MOST_BATCHES):
        memory.put(batch_id, batch_id)
    memory.put(0, 0)  # it is the newest now
    memory.put(MOST_BATCHES, MOST_BATCHES)
    assert memory.get(0) == 0
    assert memory.get(1) is None
    assert memory.get(2) == 2
    assert memory.get(MOST_BATCHES) == MOST_BATCHES
