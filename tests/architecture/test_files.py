"""What a file may be called, how long it may be, and what must not be in it."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

from recoportal.env import BASE_DIR
from tests.architecture.sources import shown, source_files, tree_of

LINES_AT_MOST = 500
NAMES_THAT_SAY_NOTHING = {"util", "utils", "helper", "helpers", "common", "misc"}
PROMISES = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|type:\s*ignore|\bnoqa\b")
TEMPLATES_AND_SCRIPTS = ("*.html", "*.js", "*.css")


def other_files() -> list[Path]:
    """Return templates, scripts and styles of ours."""
    return sorted(
        path
        for folder in ("templates", "static", "apps")
        for pattern in TEMPLATES_AND_SCRIPTS
        for path in (BASE_DIR / folder).rglob(pattern)
    )


def test_no_file_is_longer_than_500_lines() -> None:
    lengths = {
        shown(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in (*source_files(), *other_files())
    }

    assert {name: lines for name, lines in lengths.items() if lines > LINES_AT_MOST} == {}


def test_every_file_is_named_for_what_it_holds() -> None:
    assert [shown(path) for path in source_files() if path.stem in NAMES_THAT_SAY_NOTHING] == []
    folders = {path.parent for path in source_files()}
    assert [shown(folder) for folder in folders if folder.name in NAMES_THAT_SAY_NOTHING] == []


def test_no_comment_puts_work_off_or_silences_a_check() -> None:
    found = []
    for path in source_files():
        with tokenize.open(path) as file:
            found += [
                shown(path, token.start[0])
                for token in tokenize.generate_tokens(file.readline)
                if token.type == tokenize.COMMENT and PROMISES.search(token.string)
            ]

    assert found == []


def test_an_app_says_in_its_init_what_it_owns_and_nothing_else() -> None:
    assert (BASE_DIR / "apps" / "__init__.py").read_text(encoding="utf-8") == ""
    wrong = []
    for path in (BASE_DIR / "apps").glob("*/__init__.py"):
        body = tree_of(path).body
        if len(body) != 1 or not ast.get_docstring(tree_of(path)):
            wrong.append(shown(path))

    assert wrong == []


def test_nothing_secret_or_generated_is_kept_in_git() -> None:
    ignored = (BASE_DIR / ".gitignore").read_text(encoding="utf-8").split()

    assert {".env", ".data/", ".venv/", "*.mo"} <= set(ignored)
