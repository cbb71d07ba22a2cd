"""The project's source files, parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from recoportal.env import BASE_DIR

FOLDERS = ("apps", "recoportal", "tests")


@cache
def source_files(*folders: str) -> tuple[Path, ...]:
    """Return every Python file below the folders (all of ours by default), as absolute paths."""
    return tuple(sorted(path for name in folders or FOLDERS for path in (BASE_DIR / name).rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def shown(path: Path, line: int | None = None) -> str:
    """Return a path as a person would name it."""
    name = str(path.relative_to(BASE_DIR))
    return name if line is None else f"{name}:{line}"


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every module a file imports, at the top or inside a function, with its line."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def imports_package(path: Path, package: str) -> list[int]:
    """Return the lines on which a file imports a package or anything in it."""
    inside = f"{package}."
    return sorted({line for name, line in imports_of(path) if name == package or name.startswith(inside)})
