"""Rules of the house, read from the source of app/: who imports whom, who writes states, what is too long."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from app.domain import transitions
from app.domain.leases import TaskStatus

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "app").rglob("*.py"))
EDGES = {"domain", "errors", "services"}

# layer (a file or folder right under app/) -> what it may import of the project, beside itself
MAY_IMPORT: dict[str, set[str]] = {
    "array_texts": set(),
    "batch_memory": set(),
    "errors": set(),
    "domain": {"errors"},
    "logging": set(),
    "poolers": {"errors"},
    "shipped": set(),
    "tracing": {"domain"},
    "prepared_statements": set(),
    "read_only": {"errors"},
    "round_trips": set(),
    "sql_functions": set(),
    "db": {"poolers", "read_only", "round_trips", "errors", "config"},
    "metrics": set(),
    "schema": {"db", "errors", "read_only", "shipped"},
    "models": {"db", "sql_functions", "domain"},
    "portions": {"db", "sql_functions"},
    "services": {
        "array_texts",
        "batch_memory",
        "domain",
        "models",
        "errors",
        "db",
        "sql_functions",
        "portions",
        "prepared_statements",
        "schema",
        "metrics",
        "read_only",
        "tracing",
        "config",
    },
    "web": EDGES | {"metrics", "tracing"},
    "api": EDGES | {"metrics", "web"},
    "ui": EDGES | {"web"},
    "v1": EDGES | {"web"},
    "server": EDGES | {"", "db", "schema", "logging", "shipped", "tracing", "config"},
    "cli": EDGES | {"server", "demo", "db", "schema", "logging", "config"},
    "commands": {"domain", "server", "demo"},  # and the client, the package `interlock`
    "command": {"commands", "cli"},
    "worker": {"logging", "tracing"},
    "demo": {"shipped"},
    "notifier": {"domain"},
    "": EDGES | {"api", "ui", "v1", "web", "config"},  # app/__init__.py wires the parts
}
# folder of app/services -> the other folders of it that it may import
SERVICES_MAY_IMPORT: dict[str, set[str]] = {
    "task": set(),
    "access": set(),
    "message": set(),
    "connection": {"message"},
    "file": set(),
    "queue": {"task", "connection"},
    "estimate": {"task"},
    "batch": {"queue", "task", "connection", "estimate"},
    "reads": {"batch", "queue", "task", "connection", "estimate"},
    "input": {"batch", "queue", "task", "access"},
    "run_report": {"batch", "queue", "task"},
    "search": {"reads"},
    "file_batch": {"file", "input", "batch", "connection"},
    "webhook": {"message", "connection"},
    "gauges": {"reads", "message", "connection"},
    "upkeep": {
        "reads", "file_batch", "batch", "queue", "task", "access", "connection", "file", "message", "webhook",
    },
    "": {  # builds them all
        "task", "access", "connection", "file", "queue", "batch", "reads", "input", "file_batch", "run_report",
        "search", "upkeep", "webhook", "gauges",
    },
}  # fmt: skip
MAX_MODULES_OF_A_SERVICE = 13
# table -> the modules of app/services/reads that select from it: first the reader of the noun, which shapes its rows,
# then those that only need it for another noun
READERS: dict[str, tuple[str, ...]] = {
    "AuditRow": ("audit",),
    "Batch": ("batches", "audit", "requests", "progress", "failed_tasks"),
    "Document": ("documents",),
    "LateResult": ("tasks",),
    "Model": ("batch_page", "batches", "failed_tasks"),
    "ProgressSample": ("progress",),
    "Prompt": ("batch_page", "batches"),
    "ReadyTask": ("results",),
    "StateChangeRequest": ("requests",),
    "Task": ("tasks", "task_walk", "results", "failed_tasks", "workers"),
    "TaskCounts": ("progress",),
    "UsageCounts": ("progress",),
    "WorkerSighting": ("workers",),
}
# condition of app.models -> the table that it is about
CONDITIONS = {"IS_CLOSED": "Circuit", "IS_LEASED": "Task", "IS_FAILED": "Task", "IS_WAITING": "StateChangeRequest"}
OF_A_SESSION = re.compile(r"pg_(try_)?advisory_lock|\b(LISTEN|SET SESSION|CREATE TEMP|WITH HOLD)\b")
MAY_USE_FLASK = {"", "web", "api", "ui", "v1", "cli", "server"}
MAY_NOT_USE_SQLALCHEMY = {
    "domain",
    "errors",
    "web",
    "api",
    "ui",
    "v1",
    "worker",
    "demo",
    "notifier",
    "logging",
    "metrics",
    "tracing",
    "",
}
WEB = {"flask", "flask_wtf", "wtforms", "flask_smorest", "werkzeug", "marshmallow"}
# The one module that inserts and updates a batch's row, each time with its audit row.
STATE_WRITERS = {"services/batch/changes.py"}
# What ends or renews a lease, with its count; what starts one; and what inserts new tasks.
TASK_ENDER = "services/task/endings.py"
# What takes content away: it erases finished tasks and deletes those of purged batches, and changes no status.
TASK_ERASER = "services/task/erasure.py"
# What keeps results that came too late: it marks their tasks, and changes no status.
TASK_MARKER = "services/task/late_results.py"
TASK_WRITERS = {
    TASK_ENDER,
    TASK_ERASER,
    TASK_MARKER,
    "services/queue/leasing.py",
    "services/task/run_tasks.py",
    "services/task/analysis_tasks.py",
}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 60
EXCUSE = "longer than"  # a docstring that says so says why


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "app"))


def layer_of(path: Path) -> str:
    first = path.relative_to(ROOT / "app").parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


@cache
def nodes(tree: ast.Module) -> list[ast.AST]:
    """All nodes of a module, which many tests look at: a walk takes longer than what they look for."""
    return list(ast.walk(tree))


def called_name(call: ast.Call) -> str:
    """The last word of what is called: `update` of `sa.update(Batch)`."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_layer(module: str) -> str | None:
    """`app.services.reads.tasks.Tasks` -> services; `app.create_app` -> '' (the factory); `orjson` -> None."""
    top, _, rest = module.partition(".")
    if top == "config":
        return "config"
    if top != "app":
        return None
    layer = rest.partition(".")[0]
    return layer if layer in MAY_IMPORT else ""


def texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """The string constants that are no docstrings."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documented = [n for n in nodes(tree) if isinstance(n, holders) and ast.get_docstring(n, clean=False) is not None]
    docstrings = {id(n.body[0].value) for n in documented if isinstance(n.body[0], ast.Expr)}
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node


@cache
def trees() -> dict[Path, ast.Module]:
    """Parse all modules, when the first test needs them: under pytest-xdist each process would do it at its start."""
    return {path: ast.parse(path.read_text()) for path in SOURCES}


def test_a_layer_imports_only_what_it_may() -> None:
    for path, tree in trees().items():
        layer = layer_of(path)
        assert layer in MAY_IMPORT, f"app/{layer} belongs to no layer: give it one in MAY_IMPORT"
        used = {found for module in imported_modules(tree) if (found := imported_layer(module)) is not None}
        assert used <= MAY_IMPORT[layer] | {layer}, path


def test_nothing_lasts_longer_than_a_transaction() -> None:
    """A pooler may give the next transaction another session: see app/poolers.py."""
    assert [path for path in SOURCES if OF_A_SESSION.search(path.read_text())] == []


def folder_of(path: Path) -> str:
    """The folder of app/services that a module is in; '' for app/services/__init__.py."""
    return "/".join(path.relative_to(ROOT / "app" / "services").parts[:-1])


def imported_folder(module: str) -> str | None:
    """`app.services.batch.orders` -> batch; `app.services.Services` -> ''; anything else -> None."""
    if not module.startswith("app.services."):
        return None
    folder = module.split(".")[2]
    return folder if folder in SERVICES_MAY_IMPORT else ""


def test_a_folder_of_services_imports_only_what_it_may() -> None:
    for service in [path for path in SOURCES if layer_of(path) == "services"]:
        folder = folder_of(service)
        assert folder in SERVICES_MAY_IMPORT, f"app/services/{folder}: give it a row in SERVICES_MAY_IMPORT"
        imported = map(imported_folder, imported_modules(trees()[service]))
        assert {each for each in imported if each is not None} <= SERVICES_MAY_IMPORT[folder] | {folder}, service


@pytest.mark.parametrize("folder", sorted(filter(None, SERVICES_MAY_IMPORT)))
def test_a_folder_of_services_is_small_and_says_what_it_is_for(folder: str) -> None:
    modules = sorted((ROOT / "app" / "services" / folder).glob("*.py"))
    assert len(modules) <= MAX_MODULES_OF_A_SERVICE, "with __init__.py"
    docstring = ast.get_docstring(ast.parse((modules[0]).read_text()))
    assert modules[0].name == "__init__.py"
    assert docstring
    assert docstring.count("\n") == 0
    assert docstring.endswith(".")


def tables_of(tree: ast.Module) -> set[str]:
    """The tables that a module names, by their classes in app.models; a condition on a table names it too."""
    modules = set(imported_modules(tree))
    assert "app.models" not in modules, "import the classes by name"
    names = {module.rpartition(".")[2] for module in modules if module.startswith("app.models.")}
    return {CONDITIONS.get(name, name) for name in names}


@pytest.mark.parametrize("reader", sorted((ROOT / "app" / "services" / "reads").glob("*.py")), ids=name_of)
def test_each_noun_has_one_reader(reader: Path) -> None:
    allowed = {table for table, readers in READERS.items() if reader.stem in readers}
    assert tables_of(trees()[reader]) == allowed


def shapes_in(tree: ast.Module) -> set[str]:
    """The functions of a module that make the row shape of a noun."""
    return {node.name for node in nodes(tree) if isinstance(node, ast.FunctionDef) and node.name.endswith("_view")}


def test_a_row_shape_is_made_in_one_place() -> None:
    made = [name for tree in trees().values() for name in shapes_in(tree) if not name.startswith("_")]
    assert sorted(made) == sorted(set(made))


def test_an_edge_takes_no_shape_and_no_statement_from_the_readers() -> None:
    for path, tree in trees().items():
        taken = [each for each in imported_modules(tree) if each.startswith("app.services.reads.")]
        if layer_of(path) in {"api", "ui", "v1"}:
            assert not [each for each in taken if each.endswith(("_view", "_TASKS"))], path


@pytest.mark.parametrize("source", ["from app.models import AuditRow", "from app.models.audit import AuditRow as Row"])
def test_the_search_for_readers_finds(source: str) -> None:
    assert tables_of(ast.parse(source)) == {"AuditRow"}


def test_folders_of_services_import_in_no_circle() -> None:
    left = dict(SERVICES_MAY_IMPORT)
    while left:
        free = {folder for folder, imported in left.items() if not imported & left.keys()}
        assert free, f"a circle among {sorted(left)}"
        left = {folder: imported for folder, imported in left.items() if folder not in free}


def test_flask_and_sqlalchemy_stay_in_their_layers() -> None:
    for path, tree in trees().items():
        used = {module.partition(".")[0] for module in imported_modules(tree)}
        if layer_of(path) not in MAY_USE_FLASK:
            assert not used & WEB, path
        if layer_of(path) in MAY_NOT_USE_SQLALCHEMY:
            assert "sqlalchemy" not in used, path


def test_a_module_says_what_it_is_for_and_is_short() -> None:
    for path, tree in trees().items():
        docstring = ast.get_docstring(tree)
        assert docstring or not tree.body, f"{path}: a module's docstring says what it is for"
        if EXCUSE not in (docstring or ""):
            assert len(path.read_text().splitlines()) <= MAX_FILE_LINES, path
        for node in nodes(tree):
            if isinstance(node, ast.FunctionDef) and EXCUSE not in (ast.get_docstring(node) or ""):
                assert node.body[-1].end_lineno is not None, path
                assert node.body[-1].end_lineno - node.lineno < MAX_FUNCTION_LINES, (path, node.name)


def names_of_table(tree: ast.Module, model: str, table: str) -> set[str]:
    """Find the names that stand for a table in a module: imports and assignments included."""
    names = {model, table}
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname for alias in node.names if alias.name == model and alias.asname}
        if isinstance(node, ast.Assign) and plain_name(node.value) in names:
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def is_wrapped_table(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and called_name(node) in {"table_of", "aliased"}


def plain_name(node: ast.expr) -> str:
    """`db.table_of(models.Batch)`, `aliased(Batch)` and `Batch.__table__` are Batch; what has no name is ''."""
    if not isinstance(node, ast.Name | ast.Attribute) and not is_wrapped_table(node):
        return ""
    source = ast.unparse(node)
    while wrapped := re.fullmatch(r"(?:\w+\.)*(?:table_of|aliased)\((.+)\)|(.+)\.__table__|\w+\.(\w+)", source):
        source = next(filter(None, wrapped.groups()))
    return source


def writes_of_table(tree: ast.Module, model: str, table: str) -> Iterator[str]:
    """Find what would change a row of a table: Core statements, ORM objects, SQL text."""
    names, verbs = names_of_table(tree, model, table), {"insert", "update", "delete"}
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            called = called_name(node)
            to_argument = called in verbs and node.args and plain_name(node.args[0]) in names
            of_table = isinstance(node.func, ast.Attribute) and plain_name(node.func.value) in names
            if to_argument or (called in verbs and of_table) or called == model:
                yield ast.unparse(node)
    for text in texts(tree):
        if re.search(rf"(?i)\b(update(\s+only)?|insert\s+into|delete\s+from|truncate)\s+{table}\b", text.value):
            yield text.value


def writes_of_batches(tree: ast.Module) -> Iterator[str]:
    """Find what would change a batch's row; the ORM attribute `state` included."""
    yield from writes_of_table(tree, "Batch", "batches")
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == "state":
            yield ast.unparse(node)


def writes_of_tasks(tree: ast.Module) -> Iterator[str]:
    return writes_of_table(tree, "Task", "tasks")


def updates_of_tasks(tree: ast.Module) -> list[str]:
    """Those writes of tasks that are no INSERT."""
    return [each for each in writes_of_tasks(tree) if not re.search(r"(?i)\binsert\b", each)]


def test_only_changes_writes_a_batch() -> None:
    for path, tree in trees().items():
        if name_of(path) not in STATE_WRITERS:
            assert list(writes_of_batches(tree)) == [], path


@pytest.mark.parametrize("name", sorted(STATE_WRITERS))
def test_the_writers_do_write(name: str) -> None:
    assert list(writes_of_batches(trees()[ROOT / "app" / name]))


# what writes a batch, and the one module that calls it
CALLERS = {
    "LockedBatch": "services/batch/decision.py",
    "write_creation": "services/batch/decision.py",
    "write_change": "services/batch/locked_batch.py",
}


@pytest.mark.parametrize("name", CALLERS)
def test_what_writes_a_batch_has_one_caller(name: str) -> None:
    for path, tree in trees().items():
        called = [called_name(node) for node in nodes(tree) if isinstance(node, ast.Call)]
        assert called.count(name) == (name_of(path) == CALLERS[name]), path


def test_only_one_module_ends_a_task() -> None:
    """A lease is started in one module and ended or renewed in one; new tasks are inserted; nothing else writes one."""
    for path, tree in trees().items():
        if layer_of(path) in MAY_NOT_USE_SQLALCHEMY:
            continue  # it cannot; and the worker's Task is another class
        if name_of(path) not in TASK_WRITERS:
            assert list(writes_of_tasks(tree)) == [], path
        elif name_of(path) not in (TASK_ENDER, TASK_ERASER, TASK_MARKER, "services/queue/leasing.py"):
            assert updates_of_tasks(tree) == [], path


@pytest.mark.parametrize("name", [TASK_ERASER, TASK_MARKER])
def test_what_erases_or_marks_a_task_writes_no_status(name: str) -> None:
    tree = trees()[ROOT / "app" / name]
    assigned = {
        keyword.arg
        for node in nodes(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".values")
        for keyword in node.keywords
    }
    assert "status" not in assigned
    assert not [text for text in texts(tree) if text.value == "status"]


@pytest.mark.parametrize("name", sorted(TASK_WRITERS))
def test_the_writers_of_tasks_do_write(name: str) -> None:
    assert list(writes_of_tasks(trees()[ROOT / "app" / name]))


def test_the_end_of_a_task_is_decided_for_its_writer_alone() -> None:
    """The rule is asked where the row and its count are written, and nowhere else."""
    for path, tree in trees().items():
        deciding = {"app.domain.task_endings.decide", "app.domain.leases.backoff_seconds"} & set(imported_modules(tree))
        assert not deciding or name_of(path) in (TASK_ENDER, "domain/task_endings.py"), path


def test_a_lease_only_starts_where_it_is_counted() -> None:
    source = (ROOT / "app" / "services" / "queue" / "leasing.py").read_text()
    (update,) = re.findall(r"UPDATE tasks SET status = (.+?),", source)
    assert update == "'{TaskStatus.LEASED}'"
    assert "counts.move(candidate.run_key, TaskStatus.QUEUED, TaskStatus.LEASED" in source


@pytest.mark.parametrize(
    "source",
    [
        "update(Batch).where(Batch.id == 1).values(state='PAUSED')",
        "sa.delete(models.Batch)",
        "insert(Batch.__table__)",
        "Batch.__table__.update()",
        "_batches = db.table_of(Batch)\nSQL = update(_batches)",
        "from app.models import Batch as B\nsa.update(B)",
        "session.add(Batch(name='x'))",
        "batch.state = target",
        "text('UPDATE batches SET version = version + 1')",
        "SQL = 'WITH b AS (DELETE FROM batches RETURNING id) SELECT 1'",
    ],
)
def test_the_search_for_writers_finds(source: str) -> None:
    assert list(writes_of_batches(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "update(Task).where(Task.id == 1).values(status='FAILED')",
        "update(db.table_of(Task))",
        "_tasks = db.table_of(Task)\nSQL = _tasks.update()",
        "from app.models import Task as T\nsa.update(T)",
        "text('UPDATE tasks SET status = :status')",
        "text('update only tasks SET attempt = 0')",
        "SQL = f'WITH w AS (SELECT 1) UPDATE tasks SET {_SET} FROM w'",
        "connection.execute(sa.delete(models.Task))",
    ],
)
def test_the_search_for_updates_of_tasks_finds(source: str) -> None:
    assert updates_of_tasks(ast.parse(source))


@pytest.mark.parametrize("source", ["insert(Task).from_select(names, rows)", "text('INSERT INTO tasks (id) SELECT 1')"])
def test_an_insert_of_tasks_is_a_write_but_no_update(source: str) -> None:
    assert list(writes_of_tasks(ast.parse(source)))
    assert updates_of_tasks(ast.parse(source)) == []


def lists_of_states(tree: ast.Module) -> Iterator[str]:
    """Find collections that name two states or more, and texts (SQL) that do."""
    states = set(transitions.BatchState)
    only_batches = states - set(TaskStatus)
    from_table = set(chain(states, (f"BatchState.{s}" for s in states), (f"transitions.{s}" for s in states)))
    imported = {
        alias.asname or alias.name
        for node in nodes(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "app.domain.transitions"
        for alias in node.names
    }

    def is_state(node: ast.expr) -> bool:
        if isinstance(node, ast.Constant):
            return node.value in only_batches
        if not isinstance(node, ast.Name | ast.Attribute):
            return False
        name = ast.unparse(node).removesuffix(".value")
        return name in from_table and name.partition(".")[0] in imported | {"BatchState", "transitions"}

    for node in nodes(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set) and sum(map(is_state, node.elts)) > 1:
            yield ast.unparse(node)
        if isinstance(node, ast.Dict) and sum(is_state(key) for key in node.keys if key) > 1:
            yield ast.unparse(node)
    for text in texts(tree):
        if len(set(re.findall(r"\b[A-Z]+\b", text.value)) & only_batches) > 1:
            yield text.value


def test_states_are_listed_in_the_table_alone() -> None:
    for path, tree in trees().items():
        if name_of(path) != "domain/transitions.py":
            assert list(lists_of_states(tree)) == [], path


@pytest.mark.parametrize(
    "source",
    [
        "DONE = (BatchState.COMPLETED, BatchState.FAILED)",
        "from app.domain.transitions import COMPLETED, FAILED\nif state in {COMPLETED, FAILED}: pass",
        "BUTTONS = {'PAUSED': 'resume', 'ANALYZING': 'pause'}",
        "SQL = \"SELECT id FROM batches WHERE state IN ('STAGING', 'ANALYZING')\"",
    ],
)
def test_the_search_for_lists_finds(source: str) -> None:
    assert list(lists_of_states(ast.parse(source)))
