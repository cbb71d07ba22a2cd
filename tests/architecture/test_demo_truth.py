"""Hidden truths stay hidden: only the demo's own code may reach them."""

from __future__ import annotations

import ast
from pathlib import Path

from django.apps import apps
from django.contrib import admin

from apps.portal.models import DemoTruth
from recoportal.env import BASE_DIR
from tests.architecture.sources import imports_of, shown, source_files, tree_of

DOOR = BASE_DIR / "apps" / "portal" / "demo" / "truth.py"
DEFINED = {
    BASE_DIR / "apps" / "portal" / "models.py",
    *(BASE_DIR / "apps" / "portal" / "migrations").glob("*.py"),
}
# A storefront's view of the REST API; it knows no truth.
OPEN = "apps.portal.demo.storefront_client"
LEARNERS = ("ml", "datasets", "training", "serving", "metrics", "merchandising", "events", "catalog")


def names_in(path: Path) -> set[str]:
    """Every name and attribute of a file, in lower case."""
    words = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Name):
            words.add(node.id.lower())
        elif isinstance(node, ast.Attribute):
            words.add(node.attr.lower())
        elif isinstance(node, ast.alias):
            words.add(node.name.lower())
    return words


def texts_in(path: Path) -> set[str]:
    """Every piece of text of a file (SQL, model labels, docstrings), in lower case."""
    return {
        node.value.lower()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_one_module_touches_the_table() -> None:
    table = DemoTruth._meta.db_table
    touching = [
        shown(path)
        for path in source_files("apps", "recoportal")
        if path not in {DOOR, *DEFINED}
        and (
            "demotruth" in names_in(path)
            or any(
                text == "demotruth" or "portal.demotruth" in text or table in text for text in texts_in(path)
            )
        )
    ]

    assert touching == []


def test_only_the_demo_goes_through_the_door() -> None:
    allowed = BASE_DIR / "apps" / "portal" / "demo"
    commands = BASE_DIR / "apps" / "portal" / "management" / "commands"
    users = {
        shown(path)
        for path in source_files("apps", "recoportal")
        if allowed not in path.parents
        and path not in {commands / "seed_demo.py", commands / "simulate_traffic.py"}
        and any(
            name.startswith("apps.portal.demo") and not name.startswith(OPEN) for name, _ in imports_of(path)
        )
    }

    assert users == set()


def test_nothing_that_learns_or_serves_imports_the_portal() -> None:
    reaching = [
        shown(path, line)
        for app in LEARNERS
        for path in source_files(f"apps/{app}")
        for name, line in imports_of(path)
        if name.startswith("apps.portal")
    ]

    assert reaching == []


def test_no_page_and_no_relation_shows_them() -> None:
    assert not admin.site.is_registered(DemoTruth)
    assert DemoTruth._meta.default_permissions == ()
    pointing = [
        model
        for model in apps.get_models()
        if any(field.related_model is DemoTruth for field in model._meta.get_fields())
    ]
    assert pointing == []
    assert [field for field in DemoTruth._meta.get_fields() if field.is_relation] == []
