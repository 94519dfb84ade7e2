"""What the program does not do: call other servers from the service, run or unpickle what callers send."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"
# Parts that call another server: the worker its model servers and the service, the commands the service alone.
MAY_CALL = ("worker", "demo", "server", "cli.py")
CLIENTS = {"requests", "httpx", "urllib3", "http.client", "urllib.request", "aiohttp", "socket", "apprise"}
RUNS = {"eval", "exec", "compile", "__import__"}
UNPICKLES = {"pickle", "marshal", "shelve", "yaml", "dill", "cloudpickle"}
SOURCES = sorted(APP.rglob("*.py"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
            yield from (f"{each.arg}={ast.unparse(each.value)}" for each in node.keywords if each.arg)


# What sends messages to the receivers of webhooks; test_forgery.py and test_digests.py of tests/webhooks say where it
# does not go.
SENDS = {"services/webhook/sending.py": {"socket", "http.client"}, "notifier/__main__.py": {"apprise"}}


def test_the_service_calls_no_other_server() -> None:
    """It calls the receivers of webhooks, and no other address that a caller sends."""
    found = {
        str(path.relative_to(APP)): used
        for path in SOURCES
        if path.relative_to(APP).parts[0] not in MAY_CALL
        if (used := set(imports(ast.parse(path.read_text()))) & CLIENTS)
    }
    assert found == SENDS


def test_nothing_that_is_read_is_run_or_unpickled() -> None:
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        assert not {*imports(tree)} & UNPICKLES, path
        assert not {*calls(tree)} & (RUNS | {"os.system", "os.popen", "shell=True"}), path


@pytest.mark.parametrize(
    "source", ["import requests", "from http.client import HTTPConnection", "import urllib.request"]
)
def test_the_search_finds_imports(source: str) -> None:
    assert {*imports(ast.parse(source))} & CLIENTS


@pytest.mark.parametrize("source", ["eval(text)", "subprocess.run(text, shell=True)", "os.system(text)"])
def test_the_search_finds_calls(source: str) -> None:
    assert {*calls(ast.parse(source))} & (RUNS | {"os.system", "shell=True"})
