"""Hidden truths stay hidden: only the demo's own code may reach them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import ProgrammingError, connection, transaction
from pytest_django import Settings

from apps.core import clock
from apps.events.models import EventKind, EventRole, Interaction, Shopper
from apps.jobs.models import JobStatus
from apps.merchandising.services import placements_ensure
from apps.metrics.rollups import rollups_build
from apps.portal.demo.packs.pack import Size
from apps.portal.demo.seeding import demo_seed
from apps.portal.demo.truth import world_head
from apps.portal.models import DemoTruth
from apps.serving.batch import lists_missing_build
from apps.serving.pipeline import recommend
from apps.serving.slate import SlateRequest
from apps.training.recipes import recipe_update, recipes_ensure
from apps.training.runs import run_create, run_execute
from recoportal.env import BASE_DIR
from tests.architecture.sources import imports_of, shown, source_files, tree_of

DOOR = BASE_DIR / "apps" / "portal" / "demo" / "truth.py"
DEFINED = {
    BASE_DIR / "apps" / "portal" / "models.py",
    *(BASE_DIR / "apps" / "portal" / "migrations").glob("*.py"),
}
# What packs declare (code, name, whether it is simulated) is no truth; the launcher chooses by it.
DECLARED = {f"apps.portal.demo.packs{name}" for name in ("", ".PACKS", ".DEFAULT_PACK")}
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
    own = {commands / f"{name}.py" for name in ("seed_demo", "seed_experiments", "simulate_traffic")}
    users = {
        shown(path)
        for path in source_files("apps", "recoportal")
        if allowed not in path.parents
        and path not in own
        and any(
            name.startswith("apps.portal.demo") and not (path == commands / "demo.py" and name in DECLARED)
            for name, _ in imports_of(path)
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


@pytest.mark.django_db
def test_the_shop_learns_serves_and_counts_with_the_truths_taken_away(
    settings: Settings, tmp_path: Path
) -> None:
    settings.SHOP_DIR, settings.MEDIA_ROOT = tmp_path / "shop", tmp_path / "media"
    demo_seed(size=Size(150, 150, 30, 5), end=clock.now())
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {DemoTruth._meta.db_table} RENAME TO taken_away")
    with pytest.raises(ProgrammingError), transaction.atomic():
        world_head()
    buying = EventKind.objects.filter(role=EventRole.PURCHASE).values("pk")
    sold = Interaction.objects.filter(kind_id__in=buying, shopper_id__isnull=False).latest("occurred_at")
    shopper = Shopper.objects.get(pk__in=[sold.shopper_id]).external_id

    placements_ensure()
    for recipe in recipes_ensure():
        if recipe.code in ("popular", "item_knn", "content"):
            recipe_update(recipe=recipe, changes={"preset": "tiny"}, by=None)
            run = run_create(recipe=recipe)
            run_execute(job_id=run.job_id)
            run.refresh_from_db()
            assert run.job.status == JobStatus.DONE, run.job.error
            assert run.version.metrics["all"]["users"] > 0
    lists_missing_build()
    slate = recommend(SlateRequest(placement="home", shopper=shopper, n=8, explain=True))
    assert len(slate.items) == 8
    assert slate.model_versions, "a trained model is behind it"
    assert rollups_build(everything=True).days >= 30
