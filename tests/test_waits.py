"""No test depends on how fast the machine is: it waits for a condition, and compares no time that has passed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "time", "time_ns"}
# module -> what its sleeps are, since they are no waits
SLEEPS = {
    "support/waiting.py": "the pause between two looks at a condition",
    "v1/test_with_worker.py": "the same, for asyncio",
    "v1/clients/lite_llm.py": "the same, in a program of a user",
    "v1/clients/python_async.py": "the same, in a program of a user",
    "v1/clients/python_sync.py": "the same, in a program of a user",
    "v1/test_kills.py": "the moment of a kill, which is random",
    "server/test_embedded_worker.py": "a program that hangs until it is ended",
    "services/test_sweeper.py": "a process that leads until it is killed",
    "worker/sample_handlers.py": "handlers whose work takes time",
    "worker/test_worker.py": "handlers whose work takes time",
    "worker/connections/model_server.py": "a model server that answers slowly",
    "worker/fake_service.py": "a service that answers slowly, and its pause between two looks for tasks",
}


def calls_of(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in names:
                yield node


def sleeps(tree: ast.AST, source: str) -> bool:
    """Whether a module sleeps; a program that it holds as a text is a part of it."""
    return any(calls_of(tree, {"sleep", "wait_for_timeout"})) or "time.sleep(" in source


def is_passed_time(node: ast.AST) -> bool:
    """Whether an expression has a difference of two moments, of which one is now."""
    differences = (each for each in ast.walk(node) if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Sub))
    of_moments = (each for each in differences if not isinstance(each.right, ast.Constant))
    return any(not call.args for each in of_moments for call in calls_of(each, CLOCKS))


def passed_times(tree: ast.Module) -> Iterator[str]:
    """Find the assertions on such a difference, or on a name that stands for one."""
    assignments = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and is_passed_time(node.value)]
    names = {target.id for node in assignments for target in node.targets if isinstance(target, ast.Name)}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assert):
            used = {node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)}
            if used & names or is_passed_time(statement.test):
                yield ast.unparse(statement)


def test_nothing_sleeps_to_wait() -> None:
    sleeping = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path != Path(__file__) and "sleep" in (source := path.read_text()) and sleeps(ast.parse(source), source)
    }
    assert sleeping == set(SLEEPS)


def test_no_assertion_is_on_time_that_has_passed() -> None:
    found = {path: list(passed_times(ast.parse(path.read_text()))) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "assert time.monotonic() - began < 6",
        "assert round(time.time() - at) == 2",
        "took = perf_counter() - at\nassert 1 < took",
    ],
)
def test_the_search_finds(source: str) -> None:
    assert list(passed_times(ast.parse(source)))
