"""Where the web and the queue end: REST framework in api.py, Celery in tasks.py, no hidden wiring."""

from __future__ import annotations

import ast
from pathlib import Path

from recoportal.env import BASE_DIR
from tests.architecture.sources import imports_package, shown, source_files, tree_of

STATEMENTS_AT_MOST = 12
# The one place that sends a job's wake-up on behalf of views, commands and the sweeper.
SENDERS = {"apps/jobs/queue.py"}
REST_FILES = {"api.py", "openapi.py"}
SIGNAL_MODULES = ("django.dispatch", "django.db.models.signals", "django.core.signals", "celery.signals")


def lines_with(package: str, allowed: set[str]) -> list[str]:
    """Return where apps import a package, but for the allowed file names and paths."""
    return [
        shown(path, line)
        for path in source_files("apps")
        for line in imports_package(path, package)
        if path.name not in allowed and shown(path) not in allowed and "api" not in path.parts
    ]


def tasks_of(path: Path) -> list[ast.FunctionDef]:
    """Return the functions of a file that are Celery tasks."""
    return [
        node
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef)
        and any("shared_task" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]


def statements(function: ast.FunctionDef) -> int:
    """Count the statements of a function's body, nested ones too, its docstring not."""
    count = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
    return count - bool(ast.get_docstring(function))


def test_rest_framework_stays_in_the_api_files() -> None:
    assert lines_with("rest_framework", REST_FILES) == []
    assert lines_with("drf_spectacular", REST_FILES) == []


def test_celery_stays_in_the_task_files() -> None:
    assert lines_with("celery", {"tasks.py", *SENDERS}) == []
    assert lines_with("kombu", {"tasks.py", *SENDERS}) == []


def test_a_task_is_a_thin_shell() -> None:
    fat = {
        shown(path, task.lineno): statements(task)
        for path in source_files("apps")
        for task in tasks_of(path)
        if statements(task) > STATEMENTS_AT_MOST
    }

    assert fat == {}


def test_tasks_live_in_task_files() -> None:
    strays = [
        shown(path, task.lineno)
        for path in source_files("apps")
        if path.name != "tasks.py"
        for task in tasks_of(path)
    ]

    assert strays == []


def test_a_task_is_sent_only_once_its_rows_are_committed() -> None:
    bare = [
        shown(path, node.lineno)
        for path in source_files("apps", "recoportal")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "delay"
    ]

    assert bare == [], "use delay_on_commit, or apply_async where nothing was written"


def test_no_signals() -> None:
    found = [
        shown(path, line)
        for path in source_files("apps")
        for module in SIGNAL_MODULES
        for line in imports_package(path, module)
    ]

    assert found == [], "call it, or pull by status: a signal is a call that nobody can see"


def test_no_save_writes_for_others() -> None:
    overrides = [
        shown(path, node.lineno)
        for path in (BASE_DIR / "apps").glob("*/models*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef) and node.name in {"save", "delete"}
    ]

    assert overrides == []


def test_services_never_reach_for_tasks() -> None:
    upward = [
        shown(path, line)
        for path in source_files("apps")
        if path.name in {"services.py", "selectors.py", "models.py"}
        for app in (path.relative_to(BASE_DIR / "apps").parts[0],)
        for line in imports_package(path, f"apps.{app}.tasks")
    ]

    assert upward == []


def test_no_app_reaches_into_anothers_tasks_or_admin() -> None:
    apps = sorted(path.name for path in (BASE_DIR / "apps").iterdir() if (path / "apps.py").exists())
    found = [
        shown(path, line)
        for path in source_files("apps")
        for app in apps
        if app != path.relative_to(BASE_DIR / "apps").parts[0]
        for module in (f"apps.{app}.tasks", f"apps.{app}.admin")
        for line in imports_package(path, module)
    ]

    assert found == [], "enqueue through apps.jobs.queue; share admin classes in core"
