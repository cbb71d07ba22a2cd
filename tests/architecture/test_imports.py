"""What loading a part of the product may bring along, seen in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from recoportal.env import BASE_DIR

WEB = """
import sys
from recoportal.wsgi import application
from django.urls import get_resolver
from django.urls.resolvers import URLResolver

def walk(resolver):
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            walk(pattern)
        else:
            pattern.callback
walk(get_resolver())
"""
ML = """
import importlib, pkgutil, sys
import apps.ml
for module in pkgutil.walk_packages(apps.ml.__path__, "apps.ml."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
WORKER_PARENT = """
import sys
from recoportal.celery import app
app.loader.import_default_modules()
assert app.tasks
"""


def loaded_among(code: str, *names: str) -> list[str]:
    """Run code in a fresh interpreter and return which of the named packages it loaded."""
    ending = f"\nprint(*[name for name in {names!r} if name in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code + ending],
        cwd=BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "recoportal.settings.test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split("\n")[-2].split()


def test_the_web_process_never_loads_torch() -> None:
    assert loaded_among(WEB, "torch", "sklearn") == []


def test_a_worker_loads_torch_in_its_children_only() -> None:
    assert loaded_among(WORKER_PARENT, "torch") == [], "torch run before a fork deadlocks after it"


def test_ml_is_a_plain_library() -> None:
    assert loaded_among(ML, "django", "rest_framework", "celery", "recoportal") == []


PURE = (
    "apps.merchandising.rules",
    "apps.experiments.assignment",
    "apps.experiments.analysis",
    "apps.ml.blend",
    "apps.ml.topn",
    "apps.core.errors",
    "apps.core.clock",
)


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_load_neither_django_nor_torch(module: str) -> None:
    assert loaded_among(f"import sys, {module}", "django", "torch", "celery") == []


def test_the_embedded_services_need_no_django() -> None:
    assert loaded_among("import sys, recoportal.embedded.command", "django", "celery") == []
