"""What may be loaded where: the web process blends without torch, and the library knows no web framework."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

EVERYTHING = """
import importlib, pkgutil, sys
import apps.ml
for module in pkgutil.walk_packages(apps.ml.__path__, "apps.ml."):
    importlib.import_module(module.name)
"""


def loaded_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that ran this code."""
    code += "\nimport sys; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_lists_and_blender_need_numpy_only() -> None:
    loaded = loaded_after("import apps.ml.blend, apps.ml.topn")
    assert "numpy" in loaded
    assert not loaded & {"torch", "django", "scipy", "pandas", "sklearn"}


def test_the_registry_and_its_settings_load_no_torch() -> None:
    loaded = loaded_after(
        "import apps.ml.registry, apps.ml.configs; apps.ml.registry.FAMILIES['als'].presets"
    )
    assert not loaded & {"torch", "django"}


def test_no_module_of_the_library_loads_django_or_celery() -> None:
    loaded = loaded_after(EVERYTHING)
    assert "torch" in loaded
    assert not loaded & {"django", "celery", "rest_framework", "recoportal"}
